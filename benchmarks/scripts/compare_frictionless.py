import sys

from frictionless import Package, Resource, steps, transform

sales = transform(
    Resource("sales.csv"),
    steps=[
        steps.table_normalize(),
        steps.row_filter(function=lambda row: row["region"] == "EU"),
        steps.field_add(
            name="total",
            descriptor={"type": "number"},
            function=lambda row: row["quantity"] * row["unit_price"],
        ),
        steps.table_write(path="out/sales.csv"),
    ],
)
package = Package(resources=[Resource(name="sales", path="sales.csv", schema=sales.schema)], basepath="out")
package.infer(stats=True)
package.to_json("out/datapackage.json")
report = Package("out/datapackage.json").validate()
sys.exit(0 if report.valid else report.to_summary())
