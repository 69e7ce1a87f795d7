from pipelines.runner import main
from pipelines.validate.stage import run

if __name__ == "__main__":
    main("validate", run)
