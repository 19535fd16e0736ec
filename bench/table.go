// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// entry is a tool with the results of its rounds.
type entry struct {
	tool    *tool
	results []result
}

// row is a line of a table, with the results of its rounds.
type row[R any] struct {
	name    string
	results []R
}

// column is one figure of a table.
type column[R any] struct {
	title string
	get   func(r *R) float64
	text  func(v float64) string
	// ratio adds how many times the first row's figure it is.
	ratio bool
}

func number(v float64) string   { return fmt.Sprintf("%.0f", v) }
func two(v float64) string      { return fmt.Sprintf("%.2f", v) }
func three(v float64) string    { return fmt.Sprintf("%.3f", v) }
func signed(v float64) string   { return fmt.Sprintf("%+.0f", v) }
func percent(v float64) string  { return fmt.Sprintf("%.1f %%", v*100) }
func thousand(v float64) string { return fmt.Sprintf("%.0f k", v/1000) }

// columns are the figures that a load has.
func columns(l *load, untraced float64) []column[result] {
	slow := column[result]{"traced / untraced", func(r *result) float64 { return r.perEvent / untraced }, two, false}
	peak := column[result]{"peak MiB", func(r *result) float64 { return r.peak }, number, false}
	first := column[result]{"first event ms", func(r *result) float64 { return r.first }, number, false}
	told := column[result]{"lost, as reported", func(r *result) float64 { return float64(r.told) }, number, false}
	lost := column[result]{"lost", func(r *result) float64 { return 1 - float64(r.delivered)/float64(l.events) }, percent, false}
	switch l.kind {
	case kindPaced:
		return []column[result]{
			{"p50 ms", func(r *result) float64 { return r.p50 }, two, false},
			{"p99 ms", func(r *result) float64 { return r.p99 }, two, false},
			lost, told,
			{"CPU share", func(r *result) float64 { return r.share }, percent, true},
			peak,
		}
	case kindKernelFilter, kindUserFilter:
		return []column[result]{
			{"CPU-s / M events caused", func(r *result) float64 { return r.cpu * 1e6 / float64(l.events) }, two, true},
			{"shown", func(r *result) float64 { return float64(r.delivered) }, number, false},
			told, peak, slow,
		}
	}
	return []column[result]{
		{"delivered / s", func(r *result) float64 { return r.rate }, thousand, false},
		lost, told,
		{"CPU-s / M delivered", func(r *result) float64 { return r.cpu * 1e6 / float64(max(r.delivered, 1)) }, two, true},
		{"of it in user mode", func(r *result) float64 { return r.user * 1e6 / float64(max(r.delivered, 1)) }, two, false},
		peak, first, slow,
	}
}

// printLoad writes the figures of one load in Markdown.
func printLoad(w io.Writer, l *load, untraced float64, entries []*entry) {
	fmt.Fprintf(w, "\n### %s\n\n%d events; untraced %.0f ns for each %s.\n\n", l.title, l.events, untraced, cmp.Or(l.timed, "event"))
	rows := make([]row[result], len(entries))
	for i, e := range entries {
		rows[i] = row[result]{e.tool.Name, e.results}
	}
	printTable(w, columns(l, untraced), rows)
}

// printTable writes a table in Markdown.
func printTable[R any](w io.Writer, cols []column[R], rows []row[R]) {
	fmt.Fprint(w, "| |")
	for _, c := range cols {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("--:|", len(cols)))
	for i := range rows {
		fmt.Fprintf(w, "| %s |", rows[i].name)
		for _, c := range cols {
			fmt.Fprintf(w, " %s |", c.cell(&rows[i], &rows[0]))
		}
		fmt.Fprintln(w)
	}
}

// cell writes the median and the range of a figure, and its ratio to that of the first row: the
// median of those of the single rounds.
func (c column[R]) cell(of, first *row[R]) string {
	values := c.values(of)
	least, middle, most := values[0], values[len(values)/2], values[len(values)-1]
	if math.IsNaN(middle) {
		return "–"
	}
	text := c.text(middle)
	if c.text(least) != c.text(most) {
		text += fmt.Sprintf(" (%s – %s)", c.text(least), c.text(most))
	}
	if !c.ratio || of == first {
		return text
	}
	var ratios []float64
	for i := range of.results {
		ratios = append(ratios, c.get(&of.results[i])/c.get(&first.results[i]))
	}
	slices.Sort(ratios)
	return text + fmt.Sprintf(" **×%.1f**", ratios[len(ratios)/2])
}

// values returns a figure of all rounds, sorted.
func (c column[R]) values(of *row[R]) []float64 {
	var values []float64
	for i := range of.results {
		values = append(values, c.get(&of.results[i]))
	}
	slices.Sort(values)
	return values
}
