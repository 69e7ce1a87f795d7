from pipelines.runner import main
from pipelines.stress.stage import run

if __name__ == "__main__":
    main("stress", run)
