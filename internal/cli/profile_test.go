// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pprofile "github.com/google/pprof/profile"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/symbol"
	"github.com/gizmo-ebpf/gizmo/wire"
)

// stackTape records events with stacks: in event i, for each of the given numbers, function_N is called by main. It writes them to a file.
func stackTape(t *testing.T, numbers ...int) (file string) {
	t.Helper()
	stacks := new(symbol.Table)
	stacks.Open()
	s := &event.Schema{Name: "samples", Single: true, Size: 16, Fields: []event.Field{{Name: "comm", Kind: event.String, Size: 16, Parent: event.NoParent}}}
	column := s.AddColumn(event.Field{Name: "ustack.symbols", Kind: event.String, Parent: event.NoParent, Table: symbol.NewText(stacks, symbol.Symbols, 1<<20)})
	annotations, err := json.Marshal(map[string]any{"source": map[string]string{"profiles.frequency": "100", "profiles.name": "on CPU"}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	h := wire.Header{Start: time.Unix(1_600_000_000, 0), DataSources: []wire.DataSource{{Schema: s, Annotations: annotations}}}
	w, err := wire.NewWriter(&out, h)
	if err != nil {
		t.Fatal(err)
	}
	app := &symbol.Module{Name: "/usr/bin/app", BuildID: "ab", Start: 0x1000, Limit: 0x2000}
	call := func(n int, name string) *symbol.Location {
		return &symbol.Location{Module: app, Address: 0x1000 + uint64(n), Function: &symbol.Function{Name: name, System: name}}
	}
	for i, n := range numbers {
		h := event.Handle(i + 1)
		stacks.Put(h, &symbol.Stack{Addresses: []uint64{1, 2}, Locations: []*symbol.Location{call(n, fmt.Sprintf("function_%d", n)), call(0x500, "main")}})
		b := &event.Batch{Schema: s, Rows: [][]byte{append([]byte("app"), make([]byte, 13)...)}}
		column.Fill(b)[0] = h
		if err := w.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "recording")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReplayAsProfile(t *testing.T) {
	numbers := make([]int, 0, 40_000) // the dictionaries of the recording begin again
	for i := range cap(numbers) {
		numbers = append(numbers, i%1000)
	}
	file := stackTape(t, numbers...)
	folded := invoke("", "replay", file, "-o", "folded")
	lines := strings.Split(folded.out, "\n")
	if folded.code != 0 || len(lines) != 1001 || lines[0] != "app;main;function_0 400000000" {
		t.Fatalf("%d lines, code %d, %s: %.200s", len(lines), folded.code, folded.err, folded.out)
	}
	for _, line := range lines[:1000] {
		if !strings.HasSuffix(line, " 400000000") {
			t.Errorf("%q: want 40 samples of 10 ms", line)
		}
	}
	out := filepath.Join(t.TempDir(), "profile.pb.gz")
	if got := invoke("", "replay", file, "-o", "pprof", "--output-file", out, "-v"); got.code != 0 || !strings.Contains(got.err, "40000 delivered") {
		t.Errorf("%+v", got)
	}
	data, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	p, err := pprofile.ParseData(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 1000 || p.Mapping[0].File != "/usr/bin/app" || p.TimeNanos != 1_600_000_000_000_000_000 || p.Period != 10_000_000 {
		t.Errorf("%d samples, %v, %d, %d", len(p.Sample), p.Mapping, p.TimeNanos, p.Period)
	}
	if piped := invoke("", "replay", file, "-o", "pprof"); piped.out != string(data) {
		t.Error("standard output gets something else than the file")
	}
	if got := invoke("", "replay", file, "-o", "folded", "-F", "comm==other"); got.code != 0 || got.out != "" {
		t.Errorf("without events: %+v", got)
	}
}

func TestDiff(t *testing.T) {
	before, after := stackTape(t, 1, 1, 2), stackTape(t, 1, 3, 3, 3)
	want := "app;main;function_1 20000000 10000000\napp;main;function_2 10000000 0\napp;main;function_3 0 30000000\n"
	if got := invoke("", "diff", before, after); got.code != 0 || got.out != want || got.err != "" {
		t.Errorf("%+v, want %s", got, want)
	}
	if got := invoke("", "diff", before, after, "--datasource", "samples", "-E", `comm == "app"`); got.code != 0 || got.out != want {
		t.Errorf("%+v", got)
	}
	text, err := os.ReadFile(before)
	if err != nil {
		t.Fatal(err)
	}
	if got := invoke(string(text), "diff", "-", after); got.code != 0 || got.out != want {
		t.Errorf("from standard input: %+v", got)
	}
	page := filepath.Join(t.TempDir(), "diff.html")
	if got := invoke("", "diff", before, after, "-o", "flamegraph", "--output-file", page); got.code != 0 || got.out != "" {
		t.Errorf("%+v", got)
	}
	if html, err := os.ReadFile(page); err != nil || !bytes.Contains(html, []byte(`"diff":true`)) || !bytes.Contains(html, []byte("<title>on CPU</title>")) {
		t.Errorf("%v: %.300s", err, html)
	}
}
