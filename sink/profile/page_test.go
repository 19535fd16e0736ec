// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package profile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// dataOf returns the data of a page.
func dataOf(t *testing.T, page []byte) []byte {
	t.Helper()
	found := regexp.MustCompile(`(?s)<script type="application/json" id="data">(.*?)</script>`).FindSubmatch(page)
	if found == nil {
		t.Fatalf("the page has no data:\n%s", page)
	}
	return found[1]
}

func TestDataOfFlameGraph(t *testing.T) {
	t.Parallel()
	pretty := func(page []byte) []byte {
		var out bytes.Buffer
		if err := json.Indent(&out, dataOf(t, page), "", " "); err != nil {
			t.Fatal(err)
		}
		return regexp.MustCompile(`(\d),\s+(\d)`).ReplaceAll(regexp.MustCompile(`(\d),\s+(\d)`).ReplaceAll(out.Bytes(), []byte("$1,$2")), []byte("$1,$2"))
	}
	golden(t, "flamegraph.json", pretty(written(t, writeFlameGraph, example(t, 0))))
	d, err := NewDiff(example(t, 0), example(t, 3))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "diff.json", pretty(written(t, writeFlameGraphDiff, d)))
	var data pageData
	if err := json.Unmarshal(dataOf(t, written(t, writeFlameGraph, &Profile{Types: []ValueType{{"events", "count"}}})), &data); err != nil {
		t.Errorf("without samples: %v", err)
	}
}

// Names cannot end the script or run as one, and the browser loads nothing.
func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	p := example(t, 0)
	p.Name = hostile
	page := string(written(t, writeFlameGraph, p))
	if n := strings.Count(page, "</script"); n != 2 {
		t.Errorf("%d scripts end", n)
	}
	if strings.Contains(page, "<img") || strings.Contains(page, "{{") {
		t.Errorf("a name is part of the page:\n%.2000s", page)
	}
	script := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindStringSubmatch(page)[1]
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)[1]
	if want := fmt.Sprintf(`content="default-src 'none'; script-src '%s'; style-src '%s'">`, hashOf(script), hashOf(style)); !strings.Contains(page, want) {
		t.Errorf("the page does not have %s", want)
	}
	for _, bad := range []string{"innerHTML", "insertAdjacentHTML", "document.write", "eval(", "http:", "https:", "url(", " src=", "style="} {
		if strings.Contains(script+style, bad) || strings.Contains(pageHTML, bad) {
			t.Errorf("the page uses %s", bad)
		}
	}
}

// computed is what the script computes.
type computed struct {
	Root             []int64
	Totals, Inverted map[string][]int64
	Functions        map[string][2][]int64
	Hits, HitsBelow  int64
	First            string
	Least            float64
	Overlaps         [2][2]int
	Widest, Texts    []string
	Notes            []string
	Changes          map[string]float64
}

// inNode runs a script of testdata with a page.
func inNode(t *testing.T, page []byte, result any, script string, args ...string) {
	t.Helper()
	node := kerneltest.RequireProgram(t, "node")
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "PAGE", file)
	}
	out, err := exec.CommandContext(t.Context(), node, append([]string{filepath.Join("testdata", script)}, args...)...).CombinedOutput()
	if err == nil {
		err = json.Unmarshal(out, result)
	}
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

// namesOfStack returns the frames of a sample in a flame graph, the outermost first.
func namesOfStack(s *Sample) []string {
	var names []string
	eachFrame(s, func(f graphFrame, _ inlining) { names = append(names, f.name) })
	return names
}

// The script adds up as we do here, in another way.
func TestModelOfPage(t *testing.T) {
	t.Parallel()
	p := example(t, 0)
	addRecursion(p)
	const pattern = "vfs_|^main$|recursive"
	var got computed
	inNode(t, written(t, writeFlameGraph, p), &got, "model.js", filepath.Join("page", "model.js"), "PAGE", pattern)
	want := computed{Root: []int64{p.Total(0), p.Total(1)}, Totals: map[string][]int64{}, Inverted: map[string][]int64{}, Functions: map[string][2][]int64{}}
	for i := range p.Samples {
		want.add(&p.Samples[i], regexp.MustCompile(pattern))
	}
	for _, c := range []struct{ what, got, want string }{
		{"root", fmt.Sprint(got.Root), fmt.Sprint(want.Root)},
		{"totals", fmt.Sprint(got.Totals), fmt.Sprint(want.Totals)},
		{"callers", fmt.Sprint(got.Inverted), fmt.Sprint(want.Inverted)},
		{"functions", fmt.Sprint(got.Functions), fmt.Sprint(want.Functions)},
		{"hits", fmt.Sprint(got.Hits), fmt.Sprint(want.Hits)},
		{"hits below main", fmt.Sprint(got.First, got.HitsBelow), fmt.Sprint("app;main", want.Totals["app;main"][1])},
		{"the widest first", fmt.Sprint(got.Widest), "[swapper/0 app 0x0 gone r x;y]"},
		{"values", fmt.Sprintf("%q", got.Texts), `["1.50 µs" "0 ns" "2.00 h" "1.50 MiB" "1,234" "5 pages"]`},
	} {
		if c.got != c.want {
			t.Errorf("%s: got\n%s\nwant\n%s", c.what, c.got, c.want)
		}
	}
	below := 0
	for name := range want.Totals {
		if strings.HasPrefix(name, "app;main;") {
			below++
		}
	}
	if want := [2][2]int{{0, len(want.Totals)}, {0, below}}; got.Overlaps != want {
		t.Errorf("boxes: got %v, want %v", got.Overlaps, want)
	}
	if got.Least < 4.5 { // WCAG 2, AA
		t.Errorf("the least contrast of text is %.2f", got.Least)
	}
}

// addRecursion adds a function that calls itself.
func addRecursion(p *Profile) {
	f := &Frame{Module: app, Address: 1, Function: stackOf(app, "recursive").Locations[0].Function}
	p.Samples = append(p.Samples, Sample{Stack: []*Frame{f, f, f}, Roots: []string{"r"}, Values: []int64{2, 20_000_000}})
}

// add adds a sample to what the script should compute.
func (c *computed) add(s *Sample, pattern *regexp.Regexp) {
	names := namesOfStack(s)
	sum := func(m map[string][]int64, key string) {
		if m[key] == nil {
			m[key] = []int64{0, 0}
		}
		m[key][0] += s.Values[0]
		m[key][1] += s.Values[1]
	}
	for i := range names {
		sum(c.Totals, strings.Join(names[:i+1], ";"))
		f := c.Functions[names[i]]
		if f[0] == nil {
			f = [2][]int64{{0, 0}, {0, 0}}
		}
		for v := range s.Values {
			if i == len(names)-1 {
				f[0][v] += s.Values[v]
			}
			if slices.Index(names, names[i]) == i {
				f[1][v] += s.Values[v]
			}
		}
		c.Functions[names[i]] = f
	}
	if slices.ContainsFunc(names, pattern.MatchString) {
		c.Hits += s.Values[1]
	}
	slices.Reverse(names)
	for i := range names {
		sum(c.Inverted, strings.Join(names[:i+1], ";"))
	}
}

// A comparison has both values, and the change of the share.
func TestModelOfDiff(t *testing.T) {
	t.Parallel()
	before, after := example(t, 0), example(t, 3)
	addRecursion(after)
	d, err := NewDiff(before, after)
	if err != nil {
		t.Fatal(err)
	}
	var got computed
	inNode(t, written(t, writeFlameGraphDiff, d), &got, "model.js", filepath.Join("page", "model.js"), "PAGE", "x")
	if fmt.Sprint(got.Root) != fmt.Sprint([]int64{before.Total(1), after.Total(1)}) || fmt.Sprint(got.Totals["app;main;ns::work(int; char)"]) != "[90909090 121212121]" {
		t.Errorf("got %v, %v", got.Root, got.Totals)
	}
	// 9 of 104 samples became 12 of 109.
	if c := got.Changes; c["r"] != 1 || c["gone"] >= 0 || fmt.Sprintf("%.3f", c["app;main;ns::work(int; char)"]) != fmt.Sprintf("%.3f", 1-(9./104)/(12./109)) {
		t.Errorf("got %v", c)
	}
	if got.Overlaps[0][0] != 0 {
		t.Errorf("%d boxes overlap", got.Overlaps[0][0])
	}
}

// seen is what a user sees after a step.
type seen struct {
	Path, Hits, Label string
	Drawn, Rows       []string
}

// The page does what its controls say.
func TestViewOfPage(t *testing.T) {
	t.Parallel()
	var raw map[string]json.RawMessage
	inNode(t, written(t, writeFlameGraph, example(t, 0)), &raw, "view.js", "PAGE")
	see := func(step string) (s seen) {
		if err := json.Unmarshal(raw[step], &s); err != nil {
			t.Fatalf("%s: %v", step, err)
		}
		return s
	}
	drawn := func(step string, want ...string) {
		t.Helper()
		for _, name := range want {
			if got := see(step).Drawn; !slices.Contains(got, name) {
				t.Errorf("%s: %q is not drawn: %q", step, name, got)
			}
		}
	}
	drawn("start", "all", "swapper/0", "idle", "app", "main", "read_all")
	if got := see("start"); got.Path != "all" || got.Label != "flame graph of on <CPU>: all, 1.05 s, 100.00 %, itself 0 ns" {
		t.Errorf("at the start: %+v", got)
	}
	drawn("zoomed", "all", "swapper/0", "idle")
	if got := see("zoomed"); got.Path != "all › swapper/0" || slices.Contains(got.Drawn, "app") {
		t.Errorf("after a click: %+v", got)
	}
	drawn("back", "app")
	if got := see("keys").Path; got != "all › swapper/0" {
		t.Errorf("the widest box, by the keyboard: %s", got)
	}
	if got := see("found").Hits; got != "15.38 %, 161.62 ms" { // 7 and 9 of 104 samples
		t.Errorf("found %s", got)
	}
	if got := see("no expression").Hits; got != "this is no regular expression" {
		t.Errorf("no expression: %s", got)
	}
	drawn("flame", "swapper/0", "read_all")
	drawn("callers", "vfs_read", "idle", "entry")
	if got := string(raw["tip"]); got != `"idle\n[kernel]\n707.07 ms, 67.31 %"` {
		t.Errorf("the tip: %s", got)
	}
	if got := see("functions").Rows; len(got) == 0 || got[0] != "707.07 ms 67.31 % 707.07 ms 67.31 % idle" {
		t.Errorf("functions: %q", got)
	}
	if !slices.ContainsFunc(see("functions").Rows, func(row string) bool { return strings.HasSuffix(row, hostile) }) {
		t.Errorf("the hostile name is missing: %q", see("functions").Rows)
	}
}
