from dataflows import Flow, add_field, dump_to_path, filter_rows, load, validate

Flow(
    load("sales.csv", name="sales", cast_strategy=load.CAST_WITH_SCHEMA),
    filter_rows(equals=[{"region": "EU"}]),
    add_field("total", "number", default=lambda row: row["quantity"] * row["unit_price"]),
    validate(),
    dump_to_path("out"),
).process()
