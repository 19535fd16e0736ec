// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/gadget/image"
)

// hooksPage is the page about hooks.
func hooksPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var quoted = regexp.MustCompile("`[^`]+`")

// Each kind of hook is in the page's table, and nothing else is.
func TestHooksAreDocumented(t *testing.T) {
	t.Parallel()
	table, _, _ := strings.Cut(hooksPage(t), "\n\n## ")
	known := hooks()
	documented := make(map[string]bool)
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		first, _, _ := strings.Cut(line[1:], "|")
		for _, section := range quoted.FindAllString(first, -1) {
			kind, _, _ := strings.Cut(strings.TrimSuffix(strings.Trim(section, "`"), "…"), "/")
			if len(of(&image.Program{Section: kind}).sections) == 0 {
				t.Errorf("the page has %s, of which gizmo knows nothing", section)
			}
			documented[kind] = true
		}
	}
	for _, h := range known {
		for _, kind := range h.sections {
			kind = strings.TrimSuffix(kind, "*")
			plain, sleeps := strings.CutSuffix(kind, ".s")
			if !documented[kind] && !(sleeps && strings.Contains(table, "`"+kind+"/…`")) && !strings.Contains(table, "gizmo refuses `"+plain+"/…`") {
				t.Errorf("the page does not have the section %s", kind)
			}
		}
	}
}

// All probes may be kept in tracefs by the library, and nothing else is.
func TestDetachWritesFiles(t *testing.T) {
	t.Parallel()
	for section, want := range map[string]bool{
		"kprobe/f": true, "kretprobe/f": true, "ksyscall/f": true, "uprobe/a:b": true, "uretprobe.s/a:b": true, "usdt/a:b:c": true,
		"tp_btf/f": false, "raw_tp/f": false, "tracepoint/a/b": false, "fentry/f": false, "fexit/f": false, "lsm/f": false,
		"iter/task": false, "perf_event": false, "xdp": false, "sockops": false, "unheard/of": false,
	} {
		if got := DetachWritesFiles(&image.Program{Section: section}); got != want {
			t.Errorf("%s: got %v, want %v", section, got, want)
		}
	}
}

// The page's table of gadgets has a row for each, whose hooks are those of the gadget's programs.
func TestHooksOfGadgetsAreDocumented(t *testing.T) {
	t.Parallel()
	_, table, _ := strings.Cut(hooksPage(t), "<!-- gadgets -->")
	table, _, found := strings.Cut(table, "<!-- end of gadgets -->")
	if !found {
		t.Fatal("the table is missing")
	}
	rows := make(map[string][]string)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if name := strings.TrimLeft(strings.TrimSpace(cells[0]), "["); len(cells) > 1 {
			name, _, _ = strings.Cut(name, "]")
			rows[name] = cells[1:]
		}
	}
	for _, dir := range gadgetDirs(t) {
		cells, ok := rows[filepath.Base(dir)]
		if !ok {
			t.Errorf("the page has no row for %s", filepath.Base(dir))
			continue
		}
		kinds := kindsOfGadget(t, dir)
		for _, cell := range cells {
			for _, hook := range quoted.FindAllString(cell, -1) {
				if kind, _, _ := strings.Cut(strings.Trim(hook, "`"), "/"); !slices.Contains(kinds, kind) {
					t.Errorf("%s: the page says that it takes %s; its programs are of the kinds %q", filepath.Base(dir), hook, kinds)
				}
			}
		}
	}
}

func gadgetDirs(t *testing.T) []string {
	t.Helper()
	sources, err := filepath.Glob("../../../gadgets/[^_.]*/program.bpf.c")
	if err != nil || len(sources) == 0 {
		t.Fatal("no gadgets", err)
	}
	for i := range sources {
		sources[i] = filepath.Dir(sources[i])
	}
	return sources
}

// kindsOfGadget reads the kinds of a gadget's programs from its source: that needs no compiler.
func kindsOfGadget(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "program.bpf.c"))
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, section := range regexp.MustCompile(`SEC\("([^"/]+)`).FindAllStringSubmatch(string(text), -1) {
		kinds = append(kinds, section[1])
	}
	return kinds
}
