// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// The profile as trees, and what can be computed of them. A tree is lists with an element for each node: its parent, which comes before it,
// its frame and depth, and for each kind of value the sum of itself and all nodes below it. Node 0 is the root and has no frame.

const ROOT = 0, NONE = -1;
const CODE = 0, KERNEL = 1, LABEL = 2; // kinds of frames
const INLINED = ["", "", " (inlined)", " (inlined in places)"]; // the calls of a function: called, inlined, or both

function readFrames(data) {
  const frames = [];
  for (let i = 0; i < data.frames.length; i += 4) {
    const [name, module, kind, inlined] = data.frames.slice(i, i + 4);
    frames.push({ name: data.texts[name], module: data.texts[module], kind, note: INLINED[inlined] });
  }
  return frames;
}

function emptyTree(columns) {
  const lists = () => Array.from({ length: columns }, () => [0]);
  return { parent: [NONE], frame: [NONE], depth: [0], self: lists(), total: lists() };
}

function addNode(tree, parent, frame) {
  tree.parent.push(parent);
  tree.frame.push(frame);
  tree.depth.push(tree.depth[parent] + 1);
  for (const list of [...tree.self, ...tree.total]) list.push(0);
  return tree.parent.length - 1;
}

function sumUp(tree) {
  tree.total.forEach((total, c) => {
    for (let i = total.length - 1; i >= 0; i--) {
      total[i] += tree.self[c][i];
      if (i > ROOT) total[tree.parent[i]] += total[i];
    }
  });
  return tree;
}

function readTree(data) {
  const columns = data.diff ? 2 : data.types.length, tree = emptyTree(columns), path = [ROOT];
  for (let i = 0; i < data.tree.length; i += 2 + columns) {
    const depth = data.tree[i + 1], node = addNode(tree, path[depth - 1], data.tree[i]);
    path[depth] = node;
    for (let c = 0; c < columns; c++) tree.self[c][node] = data.tree[i + 2 + c];
  }
  return sumUp(tree);
}

// The tree of callers: below the root are the functions in which samples end, below each the functions that call it.
function invert(tree, frames) {
  const out = emptyTree(tree.self.length), known = new Map();
  for (let i = 1; i < tree.parent.length; i++) {
    if (!tree.self.some(values => values[i])) continue;
    let at = ROOT;
    for (let n = i; n !== ROOT; n = tree.parent[n]) {
      const key = at * frames + tree.frame[n];
      if (!known.has(key)) known.set(key, addNode(out, at, tree.frame[n]));
      at = known.get(key);
      tree.self.forEach((values, c) => out.total[c][at] += values[i]);
    }
    tree.self.forEach((values, c) => out.total[c][ROOT] += values[i]);
  }
  return out;
}

// The width of each node. In a comparison that is the sum of its shares of both profiles, so that nodes of only one are visible, too.
function weigh(tree, column, diff) {
  const share = c => tree.total[c].map(v => v / (tree.total[c][ROOT] || 1));
  if (!diff) return tree.total[column];
  const before = share(0), after = share(1);
  return before.map((v, i) => v + after[i]);
}

// The children of each node, the widest first.
function childrenOf(tree, weight) {
  const all = tree.parent.map(() => []);
  for (let i = 1; i < tree.parent.length; i++) all[tree.parent[i]].push(i);
  for (const list of all) list.sort((a, b) => weight[b] - weight[a] || a - b);
  return all;
}

function isWithin(tree, top) {
  const within = tree.parent.map(() => false);
  for (let i = top; i < within.length; i++) within[i] = i === top || tree.parent[i] >= top && within[tree.parent[i]];
  return within;
}

// The sum of the nodes within top that have a frame for which hit holds. A node below another such node counts only once.
function sumOfHits(tree, top, weight, hit) {
  const within = isWithin(tree, top), covered = within.map(() => false);
  let sum = 0;
  for (let i = top; i < within.length; i++) {
    if (!within[i]) continue;
    const above = i !== top && covered[tree.parent[i]], hits = i !== ROOT && hit(tree.frame[i]);
    covered[i] = above || hits;
    if (hits && !above) sum += weight[i];
  }
  return sum;
}

// The values of each frame within top: of itself, and with what it calls. A function that calls itself counts only once.
function functionsOf(tree, top) {
  const within = isWithin(tree, top), all = new Map(), zeros = () => tree.self.map(() => 0);
  for (let i = Math.max(top, 1); i < within.length; i++) {
    if (!within[i]) continue;
    const f = tree.frame[i];
    if (!all.has(f)) all.set(f, { frame: f, self: zeros(), total: zeros() });
    let outermost = true;
    for (let n = i; outermost && n !== top; n = tree.parent[n]) outermost = tree.frame[tree.parent[n]] !== f;
    tree.self.forEach((values, c) => {
      all.get(f).self[c] += values[i];
      if (outermost) all.get(f).total[c] += tree.total[c][i];
    });
  }
  return [...all.values()];
}

function pathTo(tree, node) {
  const path = [];
  for (let n = node; n !== NONE; n = tree.parent[n]) path.unshift(n);
  return path;
}

// The boxes of top, the nodes above it, and those below it that are at least as wide as least.
function layOut(tree, children, weight, top, width, least) {
  const boxes = pathTo(tree, top).map(node => ({ node, x: 0, width, row: tree.depth[node] })), unit = width / (weight[top] || 1);
  for (let i = boxes.length - 1; i < boxes.length; i++) {
    let x = boxes[i].x;
    for (const node of children[boxes[i].node]) {
      const w = weight[node] * unit;
      if (w < least) break; // the others are no wider
      boxes.push({ node, x, width: w, row: tree.depth[node] });
      x += w;
    }
  }
  return boxes;
}

function hashOf(text) {
  let h = 0;
  for (let i = 0; i < text.length; i++) h = Math.imul(h, 31) + text.charCodeAt(i) | 0;
  return h >>> 0;
}

// The colour of a box, as hue, saturation and lightness: code by its module and name, in a comparison by the change. Ink is legible on all of them.
function colourOf(frame, state) {
  const { dark, hit, change } = state, light = (a, b) => dark ? b : a;
  if (hit) return [300, light(85, 55), light(78, 36)];
  if (change !== undefined) {
    const much = Math.min(Math.abs(change), 1);
    return [change > 0 ? 8 : 217, light(20 + 65 * much, 10 + 45 * much), light(88 - 12 * much, 27 + 8 * much)];
  }
  if (!frame || frame.kind === LABEL) return [220, light(8, 6), light(86, 27)];
  const shade = hashOf(frame.name) % 9;
  if (frame.kind === KERNEL) return [22 + hashOf(frame.module) % 20, light(80, 50), light(70 + shade, 26 + shade)];
  return [150 + hashOf(frame.module) % 90, light(45, 32), light(70 + shade, 26 + shade)];
}

// The change of a node's share, from -1 (it has gone) to 1 (it is new).
function changeOf(tree, node) {
  const [before, after] = tree.total.map(list => list[node] / (list[ROOT] || 1));
  return (after - before) / (Math.max(before, after) || 1);
}

function showValue(value, unit) {
  const steps = {
    nanoseconds: [["h", 3600e9], ["min", 60e9], ["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]],
    bytes: [["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["KiB", 2 ** 10], ["B", 1]],
  }[unit];
  if (!steps) return value.toLocaleString("en") + (unit === "count" ? "" : " " + unit);
  const [name, size] = steps.find(([, size]) => value >= size) || steps[steps.length - 1];
  return (value / size).toFixed(size === 1 ? 0 : 2) + " " + name;
}

function showShare(part, whole) { return (100 * part / (whole || 1)).toFixed(2) + " %"; }
