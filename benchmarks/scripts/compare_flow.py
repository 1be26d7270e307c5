def sales(df):
    df = df[df["region"] == "EU"].copy()
    df["total"] = (df["quantity"] * df["unit_price"]).round(2)
    return df
