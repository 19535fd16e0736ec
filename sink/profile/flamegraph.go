// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"strconv"
	"strings"
)

// The parts of the page. The model is apart so that tests can run it without a browser.
var (
	//go:embed page/page.html
	pageHTML string
	//go:embed page/page.css
	pageCSS string
	//go:embed page/model.js
	modelJS string
	//go:embed page/view.js
	viewJS string
)

// pageData is what the page shows. The nodes come after it, because they can be many: see appendNodes.
type pageData struct {
	Title string `json:"title"`
	// Types are the names and units of the values.
	Types [][2]string `json:"types"`
	// Default is the index of the values to begin with.
	Default int `json:"default"`
	// Diff says that there are two values of one type: before and after.
	Diff  bool     `json:"diff"`
	Texts []string `json:"texts"`
	// Frames has three numbers for each frame: the name and the module, in Texts, and the kind.
	Frames []int `json:"frames"`
}

// appendFlameGraph appends a page for browsers that needs nothing else.
func appendFlameGraph(dst []byte, p *Profile) []byte {
	d := pageData{Title: p.Name, Default: p.Default}
	var columns []column
	for i, v := range p.Types {
		columns = append(columns, column{p, i})
		d.Types = append(d.Types, [2]string{v.Type, v.Unit})
	}
	return d.appendPage(dst, newGraph(columns...))
}

// appendFlameGraphDiff appends a page that compares.
func appendFlameGraphDiff(dst []byte, diff *Diff) []byte {
	d := pageData{Title: diff.Name, Types: [][2]string{{diff.Type.Type, diff.Type.Unit}}, Diff: true}
	return d.appendPage(dst, diff.graph)
}

// addFrames lists the frames of a graph.
func (d *pageData) addFrames(g *graph) {
	numbers := make(map[string]int)
	text := func(s string) int {
		n, ok := numbers[s]
		if !ok {
			n = len(d.Texts)
			numbers[s] = n
			d.Texts = append(d.Texts, s)
		}
		return n
	}
	d.Texts, d.Frames = []string{}, []int{} // not null
	for _, f := range g.frames {
		d.Frames = append(d.Frames, text(f.name), text(f.module), int(f.kind))
	}
}

// appendPage puts the data into the page. Names are foreign: JSON escapes what could end the script, and the page shows them as text only. The
// page may run no other script, and load nothing.
func (d *pageData) appendPage(dst []byte, g *graph) []byte {
	d.addFrames(g)
	data, err := json.Marshal(d) // escapes <, > and &
	if err != nil {
		panic(err) // numbers and texts
	}
	script := "\"use strict\";\n(() => {\n" + withoutHead(modelJS) + withoutHead(viewJS) + "})();\n"
	style := withoutHead(pageCSS)
	fill := strings.NewReplacer(
		"{{TITLE}}", html.EscapeString(d.Title),
		"{{STYLE_HASH}}", hashOf(style), "{{STYLE}}", style,
		"{{SCRIPT_HASH}}", hashOf(script), "{{SCRIPT}}", script)
	before, after, _ := strings.Cut(pageHTML, "{{DATA}}")
	dst = append(dst, fill.Replace(before)...)
	dst = append(dst, data[:len(data)-len("}")]...)
	dst = appendNodes(append(dst, `,"tree":[`...), g)
	dst = append(dst, "]}"...)
	return append(dst, fill.Replace(after)...)
}

// appendNodes appends some numbers for each node, a node before those that it calls: the frame, the depth, and the values of the samples that end
// there.
func appendNodes(dst []byte, g *graph) []byte {
	g.eachNode(func(n node) {
		if dst[len(dst)-1] != '[' {
			dst = append(dst, ',')
		}
		dst = strconv.AppendUint(dst, uint64(n.frame), 10)
		dst = strconv.AppendInt(append(dst, ','), int64(n.depth), 10)
		for _, v := range n.self {
			dst = strconv.AppendInt(append(dst, ','), v, 10)
		}
	})
	return dst
}

// withoutHead returns the text after the comment at its beginning, which says whose it is.
func withoutHead(text string) string {
	_, rest, _ := strings.Cut(text, "\n\n")
	return rest
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
