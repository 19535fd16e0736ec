// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/gizmo-ebpf/gizmo/test/vm/lines"
)

// The ways in which a gadget can pass its test on a kernel.
const (
	live    = "live"    // it reported what its workload caused
	refused = "refused" // the kernel lacks a hook that it needs, and it said so
)

// coverage collects the results of the gadgets on each kernel, from the output of tests.
type coverage struct {
	kernels []string
	// became is by kernel and gadget: live or refused. A gadget that failed is not there.
	became map[string]map[string]string
	// hooks are the hooks that a gadget was attached to, by kernel and gadget.
	hooks map[string]map[string]string
}

func newCoverage() *coverage {
	return &coverage{became: make(map[string]map[string]string), hooks: make(map[string]map[string]string)}
}

var (
	gadgetPassed = regexp.MustCompile(`--- PASS: TestGadgets/([^/ ]+)/(` + live + `|` + refused + `) `)
	gadgetHooks  = regexp.MustCompile(`: hooks of (\S+): (.+)`)
)

// kernel returns a writer for the output of the tests on a kernel.
func (c *coverage) kernel(version string) io.Writer {
	became, hooks := make(map[string]string), make(map[string]string)
	c.kernels = append(c.kernels, version)
	c.became[version], c.hooks[version] = became, hooks
	return &lines.Writer{Line: func(line []byte) {
		if m := gadgetPassed.FindSubmatch(line); m != nil {
			became[string(m[1])] = string(m[2])
		}
		if m := gadgetHooks.FindSubmatch(line); m != nil {
			hooks[string(m[1])] = string(m[2])
		}
	}}
}

// report prints a table, writes the page if there is one to write, and returns the
// errors.
func (c *coverage) report(out io.Writer, page string) error {
	gadgets, err := gadgetNames()
	if err != nil {
		return err
	}
	c.print(out, gadgets)
	if page != "" {
		err = c.writeInto(page, gadgets)
	}
	return errors.Join(c.check(gadgets), err)
}

// check requires that each gadget has been tried on each kernel, and ran on one.
func (c *coverage) check(gadgets []string) error {
	var errs []error
	if len(gadgets) == 0 {
		errs = append(errs, errors.New("there are no gadgets"))
	}
	for _, g := range gadgets {
		var all []string
		for _, k := range c.kernels {
			result, ok := c.became[k][g]
			if !ok {
				errs = append(errs, fmt.Errorf("%s: has not passed its test on kernel %s", g, k))
			}
			all = append(all, result)
		}
		if !slices.Contains(all, live) {
			errs = append(errs, fmt.Errorf("%s: has not run on any of the kernels %s", g, strings.Join(c.kernels, ", ")))
		}
	}
	return errors.Join(errs...)
}

// print writes which kinds of hooks the gadgets took.
func (c *coverage) print(out io.Writer, gadgets []string) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	fmt.Fprintln(w, "# gadget\t"+strings.Join(c.kernels, "\t"))
	for _, g := range gadgets {
		fmt.Fprint(w, "# "+g)
		for _, k := range c.kernels {
			kinds := strings.Join(kindsOf(c.hooks[k][g]), ", ")
			switch c.became[k][g] {
			case live:
				fmt.Fprint(w, "\t"+kinds)
			case refused:
				fmt.Fprint(w, "\trefused, without "+kinds)
			default:
				fmt.Fprint(w, "\tFAILED")
			}
		}
		fmt.Fprintln(w)
	}
}

// kindsOf returns the kinds of hooks in the form that the tests print: "kprobe/a b, iter/c".
func kindsOf(hooks string) []string {
	var kinds []string
	for part := range strings.SplitSeq(hooks, ", ") {
		kind, _, _ := strings.Cut(part, "/")
		kinds = append(kinds, kind)
	}
	return kinds
}

// The lines around the table in the page.
const (
	beforeTable = "<!-- gadgets -->\n"
	afterTable  = "<!-- end of gadgets -->\n"
)

// writeInto replaces the table of a page.
func (c *coverage) writeInto(page string, gadgets []string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok1 := strings.Cut(string(text), beforeTable)
	_, after, ok2 := strings.Cut(rest, afterTable)
	if !ok1 || !ok2 {
		return fmt.Errorf("%s has no lines %q and %q, between which the table belongs", page, beforeTable, afterTable)
	}
	return os.WriteFile(page, []byte(before+beforeTable+c.table(gadgets)+afterTable+after), 0o644)
}

// series matches the part of a kernel's version that determines its features.
var series = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// table is the same as print for the documentation, with all that is known of the hooks.
func (c *coverage) table(gadgets []string) string {
	var b strings.Builder
	b.WriteString("| gadget |")
	for _, k := range c.kernels {
		fmt.Fprintf(&b, " Linux %s |", series.FindString(k))
	}
	fmt.Fprintf(&b, "\n|---|%s\n", strings.Repeat("---|", len(c.kernels)))
	for _, g := range gadgets {
		fmt.Fprintf(&b, "| [%s](../gadgets/%s/README.md) |", g, g)
		for _, k := range c.kernels {
			hooks := "`" + strings.ReplaceAll(c.hooks[k][g], ", ", "`, `") + "`"
			switch c.became[k][g] {
			case live:
				fmt.Fprintf(&b, " %s |", hooks)
			case refused:
				fmt.Fprintf(&b, " refused: the kernel lacks %s |", hooks)
			default:
				b.WriteString(" not tested |")
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}
