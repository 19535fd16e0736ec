// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Gendocs writes the page about gadget.yaml: the text of page.md, with lists of the keys,
// annotations and templates from the tables of the code.
package main

import (
	"bytes"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/template"

	"github.com/gizmo-ebpf/gizmo/annotation"
	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/metadata"
)

//go:embed page.md
var page string

func main() {
	out := flag.String("o", "gadget-yaml.md", "file to write")
	flag.Parse()
	text, err := render()
	if err == nil {
		err = os.WriteFile(*out, text, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// render puts the lists into the page. Their places are marked by [[…]], since the page is about braces.
func render() ([]byte, error) {
	lists := template.FuncMap{
		"keys":      keys,
		"operator":  func() string { return keyTable(metadata.OperatorKeys()) },
		"fields":    func() string { return annotations(annotation.FieldKeys()) },
		"sources":   func() string { return annotations(annotation.SourceKeys()) },
		"templates": templates,
	}
	t, err := template.New("page.md").Delims("[[", "]]").Funcs(lists).Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, nil); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// keys lists the keys below a path; without one, those at the top.
func keys(path string) string {
	var below []metadata.KeyDoc
	for _, k := range metadata.Keys() {
		if rest, ok := strings.CutPrefix(k.Path, path); ok && (path != "" || !strings.Contains(rest, ".")) {
			k.Path = rest
			below = append(below, k)
		}
	}
	return keyTable(below)
}

func keyTable(keys []metadata.KeyDoc) string {
	rows := [][]string{{"Key", "Value", "What it says"}}
	for _, k := range keys {
		rows = append(rows, []string{code(k.Path), k.Value, k.Doc})
	}
	return table(rows)
}

func annotations[T any](list []annotation.Key[T]) string {
	rows := [][]string{{"Annotation", "Value", "What it does"}}
	for _, k := range list {
		value := k.Value.String()
		if k.Name == "template" {
			value = "the name of a [template](#templates)"
		}
		rows = append(rows, []string{code(k.Name), value, k.Doc})
	}
	return table(rows)
}

func templates() string {
	rows := [][]string{{"Template", "For", "Sets"}}
	for _, t := range annotation.Templates() {
		var a event.Annotations
		t.Apply(&a)
		var sets []string
		for _, s := range settings(&a) {
			sets = append(sets, code(s.key)+" "+s.value)
		}
		rows = append(rows, []string{code(t.Name), t.Doc, strings.Join(sets, ", ")})
	}
	return table(rows)
}

// setting is an annotation that a template sets.
type setting struct{ key, value string }

// settings returns the annotations that result in a.
func settings(a *event.Annotations) []setting {
	var list []setting
	add := func(set bool, key, value string) {
		if set {
			list = append(list, setting{key, value})
		}
	}
	c := &a.Columns
	add(a.Description != "", "description", a.Description)
	add(c.Width != 0, "columns.width", strconv.Itoa(c.Width))
	add(c.MinWidth != 0, "columns.minwidth", strconv.Itoa(c.MinWidth))
	add(c.MaxWidth != 0, "columns.maxwidth", strconv.Itoa(c.MaxWidth))
	add(c.Align == event.AlignRight, "columns.alignment", "right")
	add(c.Ellipsis == event.EllipsisMiddle, "columns.ellipsis", "middle")
	add(c.Ellipsis == event.EllipsisStart, "columns.ellipsis", "start")
	add(c.Hidden, "columns.hidden", "true")
	return list
}

func code(text string) string { return "`" + text + "`" }

// table writes rows, of which the first is the head.
func table(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		for j, cell := range row {
			row[j] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			b.WriteString("|" + strings.Repeat("---|", len(row)) + "\n")
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
