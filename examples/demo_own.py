"""A model of somebody's own table: `demo_own.py DATA_SET FILE LABEL` trains on what the server let in, and registers it as `own`.

Where the server is, and who asks, stands in the environment, as MLflow's client reads it.
"""

import io
import logging
import os
import sys
import warnings

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
warnings.filterwarnings("ignore")

import pandas  # noqa: E402


def features(table, label):
    """The columns of numbers, without gaps: what a plain model takes."""
    numbers = table.drop(columns=[label]).select_dtypes("number")
    return numbers.fillna(numbers.median()).astype(float)


def train(dataset, file, label):
    import mlflow
    import requests
    from mlflow.models import infer_signature
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    logging.getLogger("mlflow").setLevel(logging.ERROR)
    url = f"{os.environ['MLFLOW_TRACKING_URI']}/api/strongroom/v1/datasets/{dataset}/versions/1/files/{file}"
    mlflow.set_experiment("own data")
    with mlflow.start_run() as run:
        headers = {"Authorization": f"Bearer {os.environ['MLFLOW_TRACKING_TOKEN']}", "X-Strongroom-Run": run.info.run_id}
        answer = requests.get(url, headers=headers, verify=os.environ["MLFLOW_TRACKING_SERVER_CERT_PATH"], timeout=300)
        answer.raise_for_status()
        table = pandas.read_csv(io.BytesIO(answer.content)).dropna(subset=[label])
        known = features(table, label)
        if known.shape[1] == 0:
            sys.exit("the table has no columns of numbers besides the label: nothing to learn from")
        held = known.sample(frac=0.25, random_state=7).index
        seen = known.drop(index=held)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1_000)).fit(seen, table.loc[seen.index, label])
        score = float(model.score(known.loc[held], table.loc[held, label]))
        mlflow.log_metric("accuracy", score)
        signature = infer_signature(seen, model.predict(seen))
        mlflow.sklearn.log_model(model, name="model", registered_model_name="own", serialization_format="skops", signature=signature)
    mlflow.MlflowClient().set_registered_model_alias("own", "champion", "1")
    print(f"      a logistic regression over {known.shape[1]} columns is right in {score:.1%} of {len(held)} held-back rows")


if __name__ == "__main__":
    train(*sys.argv[1:4])
