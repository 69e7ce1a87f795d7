from pipelines.register.stage import run
from pipelines.runner import main

if __name__ == "__main__":
    main("register", run)
