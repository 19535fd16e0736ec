// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// entry is a tool with the results of its rounds.
type entry struct {
	tool    *tool
	results []result
}

// column is one figure of a table.
type column struct {
	title string
	get   func(r *result) float64
	text  func(v float64) string
	// ratio adds how many times the first tool's figure it is.
	ratio bool
}

func number(v float64) string   { return fmt.Sprintf("%.0f", v) }
func two(v float64) string      { return fmt.Sprintf("%.2f", v) }
func percent(v float64) string  { return fmt.Sprintf("%.1f %%", v*100) }
func thousand(v float64) string { return fmt.Sprintf("%.0f k", v/1000) }

// columns are the figures that a load has.
func columns(l *load, untraced float64) []column {
	slow := column{"traced / untraced", func(r *result) float64 { return r.perEvent / untraced }, two, false}
	peak := column{"peak MiB", func(r *result) float64 { return r.peak }, number, false}
	first := column{"first event ms", func(r *result) float64 { return r.first }, number, false}
	told := column{"lost, as reported", func(r *result) float64 { return float64(r.told) }, number, false}
	lost := column{"lost", func(r *result) float64 { return 1 - float64(r.delivered)/float64(l.events) }, percent, false}
	switch l.kind {
	case kindPaced:
		return []column{
			{"p50 ms", func(r *result) float64 { return r.p50 }, two, false},
			{"p99 ms", func(r *result) float64 { return r.p99 }, two, false},
			lost, told,
			{"CPU share", func(r *result) float64 { return r.share }, percent, true},
			peak,
		}
	case kindKernelFilter, kindUserFilter:
		return []column{
			{"CPU-s / M events caused", func(r *result) float64 { return r.cpu * 1e6 / float64(l.events) }, two, true},
			{"shown", func(r *result) float64 { return float64(r.delivered) }, number, false},
			told, peak, slow,
		}
	}
	return []column{
		{"delivered / s", func(r *result) float64 { return r.rate }, thousand, false},
		lost, told,
		{"CPU-s / M delivered", func(r *result) float64 { return r.cpu * 1e6 / float64(max(r.delivered, 1)) }, two, true},
		{"of it in user mode", func(r *result) float64 { return r.user * 1e6 / float64(max(r.delivered, 1)) }, two, false},
		peak, first, slow,
	}
}

// printTable writes the figures of one load in Markdown.
func printTable(w io.Writer, l *load, untraced float64, entries []*entry) {
	cols := columns(l, untraced)
	fmt.Fprintf(w, "\n### %s\n\n%d events; untraced %.0f ns an event.\n\n| |", l.title, l.events, untraced)
	for _, c := range cols {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(cols)))
	for _, e := range entries {
		fmt.Fprintf(w, "| %s |", e.tool.Name)
		for _, c := range cols {
			fmt.Fprintf(w, " %s |", cell(c, e, entries[0]))
		}
		fmt.Fprintln(w)
	}
}

// cell writes the median and the range of a figure, and its ratio to that of the first tool: the
// median of those of the single rounds.
func cell(c column, e, first *entry) string {
	values := e.values(c)
	least, middle, most := values[0], values[len(values)/2], values[len(values)-1]
	if middle < 0 {
		return "–"
	}
	text := c.text(middle)
	if c.text(least) != c.text(most) {
		text += fmt.Sprintf(" (%s – %s)", c.text(least), c.text(most))
	}
	if !c.ratio || e == first {
		return text
	}
	var ratios []float64
	for i := range e.results {
		ratios = append(ratios, c.get(&e.results[i])/c.get(&first.results[i]))
	}
	slices.Sort(ratios)
	return text + fmt.Sprintf(" **×%.1f**", ratios[len(ratios)/2])
}

// values returns a figure of all rounds, sorted.
func (e *entry) values(c column) []float64 {
	var values []float64
	for i := range e.results {
		values = append(values, c.get(&e.results[i]))
	}
	slices.Sort(values)
	return values
}
