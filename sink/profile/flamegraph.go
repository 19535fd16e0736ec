// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"html"
	"io"
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

// pageData is what the page shows. The nodes come after it, because they can be many: see writeNodes.
type pageData struct {
	Title string `json:"title"`
	// Types are the names and units of the values.
	Types [][2]string `json:"types"`
	// Default is the index of the values to begin with.
	Default int `json:"default"`
	// Diff says that there are two values of one type: before and after.
	Diff  bool     `json:"diff"`
	Texts []string `json:"texts"`
	// Frames has four numbers for each frame: the name and the module, in Texts, the kind, and whether it is inlined.
	Frames []int `json:"frames"`
}

// writeFlameGraph writes a page for browsers that needs nothing else.
func writeFlameGraph(w io.Writer, p *Profile) error {
	d := pageData{Title: p.Name, Default: p.Default}
	var columns []column
	for i, v := range p.Types {
		columns = append(columns, column{p, i})
		d.Types = append(d.Types, [2]string{v.Type, v.Unit})
	}
	return d.write(w, newGraph(columns...))
}

// writeFlameGraphDiff writes a page that compares.
func writeFlameGraphDiff(w io.Writer, diff *Diff) error {
	d := pageData{Title: diff.Name, Types: [][2]string{{diff.Type.Type, diff.Type.Unit}}, Diff: true}
	return d.write(w, diff.graph)
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
	for i, f := range g.frames {
		d.Frames = append(d.Frames, text(f.name), text(f.module), int(f.kind), int(g.inlining[i]))
	}
}

// write writes the page with the data in it. Names are foreign: JSON escapes what could end the script, and the page shows them as text only. The
// page may run no other script, and load nothing.
func (d *pageData) write(w io.Writer, g *graph) error {
	d.addFrames(g)
	data, err := json.Marshal(d) // escapes <, > and &
	if err != nil {
		return err
	}
	script := "\"use strict\";\n(() => {\n" + withoutHead(modelJS) + withoutHead(viewJS) + "})();\n"
	style := withoutHead(pageCSS)
	fill := strings.NewReplacer(
		"{{TITLE}}", html.EscapeString(d.Title),
		"{{STYLE_HASH}}", hashOf(style), "{{STYLE}}", style,
		"{{SCRIPT_HASH}}", hashOf(script), "{{SCRIPT}}", script)
	before, after, _ := strings.Cut(pageHTML, "{{DATA}}")
	out := bufio.NewWriterSize(w, pieceSize) // which remembers the first error
	_, _ = fill.WriteString(out, before)
	_, _ = out.Write(data[:len(data)-len("}")])
	_, _ = out.WriteString(`,"tree":[`)
	writeNodes(out, g)
	_, _ = out.WriteString("]}")
	_, _ = fill.WriteString(out, after)
	return out.Flush()
}

// writeNodes writes some numbers for each node, a node before those that it calls: the frame, the depth, and the values of the samples that end
// there.
func writeNodes(out *bufio.Writer, g *graph) {
	first := true
	g.eachNode(func(n node) {
		text := out.AvailableBuffer()
		if !first {
			text = append(text, ',')
		}
		first = false
		text = strconv.AppendUint(text, uint64(n.frame), 10)
		text = strconv.AppendInt(append(text, ','), int64(n.depth), 10)
		for _, v := range n.self {
			text = strconv.AppendInt(append(text, ','), v, 10)
		}
		_, _ = out.Write(text)
	})
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
