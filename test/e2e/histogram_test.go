// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/cilium/ebpf"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// runTogether runs a gadget while its workload causes its events, with these arguments as well. before is called before the end.
func (w *workload) runTogether(t testing.TB, before func([]kerneltest.Object), args ...string) *process {
	t.Helper()
	g := start(t, w.as, append(append([]string{"run", w.gadget}, args...), w.Args...)...)
	held := g.waitAttached(t)
	w.cause(t)
	w.process.wait(t)
	before(held)
	g.interrupt(t)
	if text := g.err.String(); text != "" {
		t.Errorf("unexpected on standard error: %s", text)
	}
	return g
}

func nothing([]kerneltest.Object) {}

// A gadget that prints metrics draws a chart for each of its labels. The unit is that of its params.
func TestHistograms(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := runnable(t, "profile_blockio")
	if w == nil {
		return
	}
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		text := w.runTogether(t, nothing, "--ms").out.String()
		end := strings.LastIndex(text, "latency{disk=\"loop") // of several texts, the last one
		wantLine(t, text[max(0, end):], `latency\{disk="loop\d+",operation="write\|sync\|idle"\}`)
		for _, line := range []string{`latency\{disk="loop\d+",operation="discard\|sync"\}`, `latency\{disk="loop\d+",operation="read(\|sync)?"\}`,
			` +ms +: count +distribution`, ` +1024 -> 2048 +: 7 +\|\*{40}\|`, ` +1024 -> 2048 +: 5 +\|\*{40}\|`, ` +1024 -> 2048 +: 1 +\|\*{40}\|`,
			` +512 -> 1024 +: 0 +\| {40}\|`,
		} {
			wantLine(t, text, line)
		}
	})
}

func wantLine(t testing.TB, text, pattern string) {
	t.Helper()
	if !regexp.MustCompile(`(?m)^` + pattern + `$`).MatchString(text) {
		t.Errorf("no line like %s in\n%s", pattern, text)
	}
}

// However often gizmo reads the map while several threads make requests, the arrays have each request once.
func TestHistogramsCountEachRequest(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := runnable(t, "top_blockio")
	if w == nil {
		return
	}
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		w.gadget, w.Args = "profile_blockio", nil
		g := start(t, w.as, "run", w.gadget, "--host", "-o", "json", "--per-disk", "--per-flag", "--map-fetch-interval", "5ms",
			"--annotate", "blockio:ebpf.map.flush-on-stop=true,blockio:metrics.print=false")
		g.waitAttached(t)
		want := w.cause(t).rows
		g.interrupt(t)
		rows := parseOutput(t, g.out.String()).rows
		disk := numbers([]string{want[0].get("major"), want[0].get("minor")})
		for _, operation := range []string{"read", "write"} {
			n, wanted := 0, 0
			for _, e := range want {
				if e.get("rw") == operation {
					wanted += numbers([]string{e.get("io")})[0]
				}
			}
			for _, e := range rows {
				if e.get("dev") == strconv.Itoa(disk[0]<<20|disk[1]) && strings.HasPrefix(e.get("operation"), operation) {
					n += slotsOf(t, e.find("latency"))
				}
			}
			t.Logf("%d rows, %d of %d requests to %s", len(rows), n, wanted, operation)
			if n != wanted {
				t.Errorf("%d requests to %s, want %d", n, operation, wanted)
			}
		}
	})
}

func slotsOf(t testing.TB, array any) (sum int) {
	t.Helper()
	all, ok := array.([]any)
	if !ok {
		t.Fatalf("no array: %v", array)
	}
	for _, n := range all {
		sum += numbers([]string{n.(json.Number).String()})[0]
	}
	return sum
}

// Packets that are dropped in a queue do not stay in the gadget's map, and each interface has its row.
func TestPacketsDroppedInQueues(t *testing.T) {
	kerneltest.RequireRoot(t)
	w := runnable(t, "profile_qdisc_latency")
	if w == nil {
		return
	}
	undisturbed(t, w, func(t *kerneltest.Attempt, w *workload) {
		g := w.runTogether(t, func(held []kerneltest.Object) { wantEmpty(t, held, "waiting") },
			append(asRows(t, w.gadget), "-o", "json", "--per-interface")...)
		found := 0
		for _, row := range parseOutput(t, g.out.String()).rows {
			if row.get("interface") == "slow" && row.get("ifindex") == w.Args[len(w.Args)-1] {
				found++
			}
		}
		if found != 1 {
			t.Errorf("%d rows of the interface: %s", found, g.out.String())
		}
	})
}

// wantEmpty checks that a map of the programs among the objects has no entry, after a while.
func wantEmpty(t testing.TB, held []kerneltest.Object, name string) {
	t.Helper()
	m := mapOf(t, held, name)
	if m == nil {
		t.Fatalf("none of the programs has a map %s", name)
	}
	defer m.Close()
	eventually(t, "the map "+name+" has no entry", func() bool {
		var key []byte
		return errors.Is(m.NextKey(nil, &key), ebpf.ErrKeyNotExist)
	})
}

// mapOf returns the map of that name that one of the programs uses, nil if there is none.
func mapOf(t testing.TB, held []kerneltest.Object, name string) *ebpf.Map {
	t.Helper()
	for _, o := range held {
		if o.Kind != "prog" {
			continue
		}
		for _, id := range mapsOf(t, o.ID) {
			m, err := ebpf.NewMapFromID(id)
			if err != nil {
				t.Fatal(err)
			}
			if info, err := m.Info(); err == nil && info.Name == name {
				return m
			}
			m.Close()
		}
	}
	return nil
}

func mapsOf(t testing.TB, program uint32) []ebpf.MapID {
	t.Helper()
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(program))
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		t.Fatal(err)
	}
	ids, _ := info.MapIDs()
	return ids
}
