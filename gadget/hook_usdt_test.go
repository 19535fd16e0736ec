// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"errors"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cilium/ebpf/btf"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/usdt"
	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// findsElements reports whether the <bpf/usdt.bpf.h> that the fixture is built with finds elements of arrays.
func findsElements(t testing.TB) bool {
	t.Helper()
	spec, err := parse(t, "user").Spec(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	site := spec.Maps[usdt.SpecMap].Value.(*btf.Struct)
	arg := site.Members[0].Type.(*btf.Array).Type.(*btf.Struct)
	return slices.ContainsFunc(arg.Members, func(m btf.Member) bool { return m.Name == "idx_reg_off" })
}

// formNames are the probes of the fixture forms.c, in the order in which they fire.
var formNames = []string{
	"constants", "registers", "memory", "octal", "none",
	"indexed", "variables",
	"float", "high", "segment", "sizes", "relocated", "malformed", "many",
}

// Whatever form a probe's arguments have, the program attaches, reads the readable ones correctly, and gets
// an error for the rest.
func TestUSDTForms(t *testing.T) {
	kerneltest.RequireRoot(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the fixture is for amd64")
	}
	for name, test := range map[string]struct {
		option, finds string
		probes        []string
	}{
		"with symbols": {"-g", "symbols", formNames},
		"stripped":     {"-s", "", []string{"variables"}}, // for the others symbols make no difference
	} {
		t.Run(name, func(t *testing.T) {
			path := buildC(t, "forms.c", test.option)
			args := []string{test.finds}
			if findsElements(t) {
				args = append(args, "indexed")
			}
			for _, probe := range test.probes {
				g := startUser(t, map[string]string{"on_probe": path + ":forms:" + probe})
				lines := runApp(t, []string{"probe"}, nil, path, args...)
				if len(lines) != len(formNames) {
					t.Fatalf("the program has %d probes", len(lines))
				}
				i := slices.Index(formNames, probe)
				g.expectUser(t, lines[i:i+1])
				if t.Failed() {
					t.Fatal("the probe is", probe)
				}
				if err := g.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// The log for debugging names each argument that cannot be read, once for all sites.
func TestUSDTMissingArguments(t *testing.T) {
	kerneltest.RequireRoot(t)
	if runtime.GOARCH != "amd64" {
		t.Skip("the fixture is for amd64")
	}
	var log bytes.Buffer
	o := userOptions(t)
	o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	path := buildC(t, "forms.c")
	for probe, want := range map[string][]string{
		"float":     {"forms:float", path, "argument 1", "8f@%xmm0", "floating-point"},
		"segment":   {"forms:segment", path, "argument 1", "%fs:0"},
		"many":      {"forms:many", path, "14 arguments", "takes 12"},
		"constants": nil,
	} {
		log.Reset()
		g := load(t, userImage(t, map[string]string{"on_probe": path + ":forms:" + probe}), o)
		if err := errors.Join(g.Attach(), g.Detach()); err != nil {
			t.Fatal(probe, err)
		}
		const message = "programs cannot read an argument of a USDT probe"
		if n := strings.Count(log.String(), message); n != min(1, len(want)) {
			t.Errorf("%s: %d lines: %s", probe, n, &log)
		}
		for _, part := range want {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: no %q in %s", probe, part, &log)
			}
		}
	}
}
