import dlt
from dlt.sources.filesystem import filesystem, read_csv


def add_total(row):
    row["total"] = round(row["quantity"] * row["unit_price"], 2)
    return row


sales = filesystem("file:.", file_glob="sales.csv") | read_csv()
sales.add_filter(lambda row: row["region"] == "EU").add_map(add_total)

pipeline = dlt.pipeline("sales", destination=dlt.destinations.filesystem("out"), dataset_name="data")
pipeline.run(sales.with_name("sales"), write_disposition="replace", loader_file_format="csv")
