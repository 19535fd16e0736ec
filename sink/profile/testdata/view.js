// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Runs the script of a page with a document of its own, and prints what a user sees: node view.js PAGE.
const fs = require("fs"), page = fs.readFileSync(process.argv[2], "utf8");
const [, data] = page.match(/<script type="application\/json" id="data">(.*?)<\/script>/s), [, script] = page.match(/<script>(.*?)<\/script>/s);

let drawn = []; // the texts on the canvas
const ink = { fillRect() {}, strokeRect() {}, setTransform() {}, measureText: () => ({ width: 7 }), fillText: text => drawn.push(text) };
class Element {
  constructor() { Object.assign(this, { children: [], style: {}, attributes: {}, textContent: "", value: "", hidden: false, clientWidth: 1000, offsetWidth: 10, offsetHeight: 10 }); }
  append(...nodes) { this.children.push(...nodes); }
  replaceChildren(...nodes) { this.children = nodes; }
  add(option) { this.children.push(option); }
  setAttribute(key, value) { this.attributes[key] = value; }
  getContext() { drawn = []; return ink; }
  getBoundingClientRect() { return { left: 0, top: 0 }; }
  focus() {}
  get text() { return this.textContent + this.children.map(c => typeof c === "string" ? c : c.text).join(" "); }
}
const elements = {}, $ = id => elements[id] ??= new Element();
$("data").textContent = data;
$("view").value = "icicle";
Object.assign($("functions"), { tHead: new Element(), tBodies: [new Element()] });
const document = { getElementById: $, createElement: () => new Element() };
const globals = { document, matchMedia: () => ({ matches: false }), devicePixelRatio: 2, innerWidth: 1000, innerHeight: 800, Option: function () {} };
new Function(...Object.keys(globals), "onresize", script)(...Object.values(globals));

const seen = {}, note = what => { seen[what] = { path: $("path").text, drawn, hits: $("hits").textContent, label: $("graph").attributes["aria-label"], rows: $("functions").tBodies[0].children.map(r => r.text) }; drawn = []; };
const see = (view, what) => { $("view").value = view; drawn = []; $("view").onchange(); note(what); };
note("start");
$("graph").onclick({ clientX: 1, clientY: 30 });
note("zoomed");
document.onkeydown({ key: "Escape" });
note("back");
$("graph").onkeydown({ key: "ArrowDown", preventDefault() {} });
$("graph").onkeydown({ key: "Enter" });
note("keys");
document.onkeydown({ key: "Escape" });
$("search").value = "vfs_|ns::";
$("search").oninput();
note("found");
$("search").value = "(";
$("search").oninput();
note("no expression");
$("search").value = "";
$("search").oninput();
see("flame", "flame");
see("callers", "callers");
$("graph").onmousemove({ clientX: 1, clientY: 30 });
seen.tip = $("tip").textContent;
see("functions", "functions");
console.log(JSON.stringify(seen));
