// @transmute/rfc9162 as a judge: node rfc9162.js < questions. Each line is a JSON array; one answer a line comes back.
// ["root", entries] gives the root; ["inclusion", root, entry, index, size, path] and
// ["consistency", old size, old root, new size, new root, path] give true or false. Bytes are in hexadecimal.
"use strict";

const readline = require("node:readline");
const { RFC9162 } = require("@transmute/rfc9162");

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, "hex"));

const judges = {
  root: async (entries) => RFC9162.binToHex(await RFC9162.treeHead(entries.map(bytes))),
  inclusion: async (root, entry, index, size, path) =>
    RFC9162.verifyInclusionProof(bytes(root), await RFC9162.leaf(bytes(entry)), {
      log_id: "",
      tree_size: size,
      leaf_index: index,
      inclusion_path: path.map(bytes),
    }),
  // The package leaves step 2 of section 2.1.4.2 to whoever calls it: the old root of a power of two comes first.
  consistency: async (oldSize, oldRoot, newSize, newRoot, path) =>
    RFC9162.verifyConsistencyProof(bytes(oldRoot), bytes(newRoot), {
      log_id: "",
      tree_size_1: oldSize,
      tree_size_2: newSize,
      consistency_path: ((oldSize & (oldSize - 1)) === 0 ? [oldRoot, ...path] : path).map(bytes),
    }),
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [question, ...given] = JSON.parse(line);
    console.log(JSON.stringify(await judges[question](...given)));
  }
}

main();
