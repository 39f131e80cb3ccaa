-- Which rules of the file scanner a model was judged by: what older rules judged is inspected again.
ALTER TABLE model_inspection ADD COLUMN rules TEXT;
