"""The reports of many captures as tables, in Parquet, for engines that others already run."""
