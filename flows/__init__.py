"""When the pipeline runs, with what retries, and how it is going: the only package that knows Prefect."""
