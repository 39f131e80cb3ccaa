// Checks in the browser that a record is in the log: the leaf's hash is walked up the audit path (RFC 6962) to the root of the checkpoint, and
// the checkpoint's signature is that of the key (C2SP signed note, Ed25519). Nothing is asked of the server. What a person reads is made anew of the
// exact bytes, and has to be what the server showed; the page's address says which record it has to be.

import { said as zoned } from '/console/assets/times.js';

const text = (id) => document.getElementById(id).textContent;
const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const utf8 = (value) => new TextEncoder().encode(value);
const same = (one, other) => one.length === other.length && one.every((byte, at) => byte === other[at]);

async function hash(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

// RFC 9162, section 2.1.3.2.
async function rootOf(leaf, index, size, path) {
  let [node, last, root] = [index, size - 1n, leaf];
  for (const hashed of path) {
    if (last === 0n) return null;
    if ((node & 1n) === 1n || node === last) {
      root = await hash(Uint8Array.of(1), hashed, root);
      while ((node & 1n) === 0n && node !== 0n) {
        node >>= 1n;
        last >>= 1n;
      }
    } else {
      root = await hash(Uint8Array.of(1), root, hashed);
    }
    node >>= 1n;
    last >>= 1n;
  }
  return last === 0n ? root : null;
}

function proofOf(receipt) {
  const at = receipt.indexOf("\n\n");
  const head = receipt.slice(0, at).split("\n");
  const index = head.findIndex((line) => line.startsWith("index "));
  return { index: BigInt(head[index].slice(6)), path: head.slice(index + 1).map(bytes), checkpoint: receipt.slice(at + 2) };
}

async function signed(checkpoint, key) {
  const at = checkpoint.indexOf("\n\n");
  const [body, signatures] = [checkpoint.slice(0, at + 1), checkpoint.slice(at + 2).trim().split("\n")];
  const split = key.split("+");
  const name = split[0];
  const material = bytes(split.slice(2).join("+"));
  const id = (await hash(utf8(`${name}\n`), material)).slice(0, 4);
  const publicKey = await crypto.subtle.importKey("raw", material.slice(1), { name: "Ed25519" }, false, ["verify"]);
  for (const line of signatures) {
    const [, signer, encoded] = line.split(" ");
    const signature = encoded ? bytes(encoded) : new Uint8Array();
    if (signer === name && same(signature.slice(0, 4), id)) {
      return crypto.subtle.verify("Ed25519", publicKey, signature.slice(4), utf8(body));
    }
  }
  return false;
}

// The record with a line for each of its parts; no other byte of it is changed.
function indented(json) {
  let [out, depth, inText, escaped] = ["", 0, false, false];
  const line = () => `\n${"  ".repeat(depth)}`;
  for (const letter of json) {
    if (inText) {
      out += letter;
      [inText, escaped] = [escaped || letter !== '"', !escaped && letter === "\\"];
    } else if (letter === '"') {
      out += letter;
      inText = true;
    } else if (letter === "{" || letter === "[") {
      depth += 1;
      out += letter + line();
    } else if (letter === "}" || letter === "]") {
      depth -= 1;
      out = out.replace(/[ \n]+$/, "");
      if (!/[{[]$/.test(out)) out += line();
      out += letter;
    } else if (letter === ",") {
      out += letter + line();
    } else if (letter === ":") {
      out += ": ";
    } else if (letter !== " " && letter !== "\n") {
      out += letter;
    }
  }
  return out;
}

const element = (id) => document.getElementById(id);

// The address says which record was asked for, by its place in the log or by the act that it is of; a page that was saved says the place itself.
function isAsked(index) {
  const act = /\/console\/erasure\/([^/]+)$/.exec(location.pathname);
  if (act) return JSON.parse(text("exact")).id === decodeURIComponent(act[1]);
  const named = /\/console\/audit\/(\d+)$/.exec(location.pathname);
  return index === BigInt(named ? named[1] : element("heading").dataset.index);
}

// The ids of what was done are the record's. The names behind them are not, and the page says so.
function showIds(record) {
  const ids = { Who: record.caller?.id, "To what": record.resource, Where: record.workspace };
  let areSame = true;
  for (const label of document.querySelectorAll("section[aria-labelledby=facts] dt")) {
    const [id, value] = [ids[label.textContent], label.nextElementSibling];
    if (!id || value.textContent === id || value.textContent.startsWith(`${id}: `) || value.textContent.endsWith(` ${id}`)) continue;
    value.textContent = id;
    areSame = false;
  }
  return areSame;
}

// Puts what the exact bytes say in place of what the server showed; says whether that was the same.
function showExact(exact, index) {
  const record = JSON.parse(exact);
  const minute = `${new Date(record.at / 1000).toISOString().slice(0, 16)}Z`;
  const time = element("moment").querySelector("time");
  const heading = `Record ${index}: ${record.action}, ${record.status ?? "begun"}`;
  const readable = indented(exact);
  const areIds = showIds(record);
  const isSame = areIds && text("heading") === heading && text("readable") === readable && time?.dateTime === minute;
  element("heading").textContent = heading;
  element("readable").textContent = readable;
  const own = document.createElement("time");
  own.dateTime = minute;
  own.title = `${minute.slice(0, 10)} ${minute.slice(11, 16)} UTC`;
  own.textContent = zoned(new Date(minute));
  element("moment").replaceChildren(own);
  return isSame;
}

async function check() {
  const { index, path, checkpoint } = proofOf(text("receipt"));
  const [, size, root] = checkpoint.split("\n");
  if (!(await signed(checkpoint, text("log-key").trim()))) return "The checkpoint is NOT signed by the log's key.";
  const leaf = await hash(Uint8Array.of(0), utf8(text("exact")));
  const found = await rootOf(leaf, index, BigInt(size), path);
  if (!found || !same(found, bytes(root)) || index >= BigInt(size)) return "The record is NOT in the tree that was signed.";
  if (!isAsked(index)) return `This is NOT the record that was asked for: the receipt is that of record ${index}.`;
  if (!showExact(text("exact"), index)) return "The server showed something else than the record says: what you read now is what it says.";
  return "";
}

const said = document.getElementById("checked");
check().then(
  (fault) => {
    said.className = fault ? "alert" : "good";
    said.textContent = fault || "Checked here: this record is in the log, under a checkpoint that its key signed, and says what you read under “What it says”.";
  },
  (error) => {
    said.className = "alert";
    said.textContent = `This browser cannot check it (${error.name}); strongroom audit check-proof can.`;
  },
);
