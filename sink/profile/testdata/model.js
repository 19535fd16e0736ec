// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Prints, as JSON, what the model of a page computes: node model.js MODEL PAGE REGEXP.
const fs = require("fs");
const [model, page, pattern] = process.argv.slice(2);
const data = JSON.parse(fs.readFileSync(page, "utf8").match(/<script type="application\/json" id="data">(.*?)<\/script>/s)[1]);
const m = new Function(fs.readFileSync(model, "utf8") +
  "return {readFrames, readTree, invert, weigh, childrenOf, sumOfHits, functionsOf, pathTo, layOut, colourOf, changeOf, showValue};")();

const frames = m.readFrames(data), tree = m.readTree(data), column = data.default;
const weight = m.weigh(tree, column, data.diff), children = m.childrenOf(tree, weight);
const name = (t, n) => m.pathTo(t, n).slice(1).map(i => frames[t.frame[i]].name).join(";");

// The relative luminance and the contrast of colours are those of WCAG 2.
function luminance([h, s, l]) {
  const part = n => {
    const k = (n + h / 30) % 12, v = l / 100 - s / 100 * Math.min(l / 100, 1 - l / 100) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
    return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(0) + 0.7152 * part(8) + 0.0722 * part(4);
}
const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
let least = 99;
for (const dark of [false, true]) {
  const ink = luminance(dark ? [210, 10, 96] : [216, 11, 9]);
  for (let i = 0; i < 2000; i++) {
    for (const state of [{}, { hit: true }, { change: (i - 1000) / 1000 }]) {
      const frame = { name: "f" + i, module: "m" + i * 7, kind: i % 3 };
      least = Math.min(least, contrast(ink, luminance(m.colourOf(frame, { dark, ...state }))));
    }
  }
}

// Each box lies within the one that it belongs to, and boxes do not overlap.
function overlaps(top) {
  const boxes = m.layOut(tree, children, weight, top, 1000, 0), at = new Map(boxes.map(b => [b.node, b]));
  let wrong = 0, below = 0;
  for (const b of boxes) {
    const parent = at.get(tree.parent[b.node]), inside = children[b.node].reduce((sum, c) => sum + (at.get(c)?.width || 0), 0);
    if (parent && (b.x < parent.x - 1e-6 || b.x + b.width > parent.x + parent.width + 1e-6)) wrong++;
    if (inside > b.width + 1e-6) wrong++;
    if (tree.depth[b.node] > tree.depth[top]) below++;
  }
  return [wrong, below];
}

const callers = m.invert(tree, frames.length), functions = {}, inverted = {}, totals = {};
for (const f of m.functionsOf(tree, 0)) functions[frames[f.frame].name] = [f.self, f.total];
for (let i = 1; i < callers.parent.length; i++) inverted[name(callers, i)] = callers.total.map(list => list[i]);
for (let i = 1; i < tree.parent.length; i++) totals[name(tree, i)] = tree.total.map(list => list[i]);
const first = tree.parent.findIndex((_, i) => i && frames[tree.frame[i]].name === "main");
console.log(JSON.stringify({
  root: tree.total.map(list => list[0]), totals, functions, inverted,
  hits: m.sumOfHits(tree, 0, tree.total[column], f => new RegExp(pattern, "i").test(frames[f].name)),
  hitsBelow: m.sumOfHits(tree, first, tree.total[column], f => new RegExp(pattern, "i").test(frames[f].name)),
  notes: frames.filter(f => f.note).map(f => f.name + f.note),
  first: name(tree, first), least, overlaps: [0, first].map(overlaps),
  widest: children[0].map(n => name(tree, n)),
  changes: data.diff ? Object.fromEntries(Object.keys(totals).map((path, i) => [path, m.changeOf(tree, i + 1)])) : {},
  texts: [m.showValue(1500, "nanoseconds"), m.showValue(0, "nanoseconds"), m.showValue(7200e9, "nanoseconds"), m.showValue(3 << 19, "bytes"), m.showValue(1234, "count"), m.showValue(5, "pages")],
}));
