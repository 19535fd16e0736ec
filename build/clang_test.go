// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// fakeClang makes a program that says it is clang of that version.
func fakeClang(t *testing.T, dir, name, version string) {
	t.Helper()
	script := "#!/bin/sh\necho 'Some clang version " + version + " (x)'\necho 'Target: x'\n"
	kerneltest.WriteProgram(t, filepath.Join(dir, name), []byte(script))
}

func TestFindTools(t *testing.T) {
	tests := []struct {
		name   string
		have   map[string]string // name → version
		clang  string            // $CLANG
		option string
		want   string // the name, or part of the error after "!"
	}{
		{name: "only one", have: map[string]string{"clang": "14.0.6"}, want: "clang"},
		{name: "newest", have: map[string]string{"clang": "14.0.6", "clang-16": "16.0.6", "clang-9": "9.0.1"}, want: "clang-16"},
		{name: "clang itself is newest", have: map[string]string{"clang": "21.1.0", "clang-19": "19.0.0"}, want: "clang"},
		{name: "plain name among equals", have: map[string]string{"clang": "19.1.7", "clang-19": "19.1.7"}, want: "clang"},
		{name: "others are not compilers", have: map[string]string{"clang-14": "14.0.0", "clang-format-19": "19.0.0", "clang++-19": "19.1.0"}, want: "clang-14"},
		{name: "broken one passed over", have: map[string]string{"clang-14": "14.0.0", "clang-19": "unknown"}, want: "clang-14"},
		{name: "too old", have: map[string]string{"clang-13": "13.0.1"}, want: "!too old"},
		{name: "none", want: "!apt-get install clang"},
		{name: "environment", have: map[string]string{"clang": "19.0.0", "clang-14": "14.0.0"}, clang: "clang-14", want: "clang-14"},
		{name: "environment wrong", have: map[string]string{"clang": "19.0.0"}, clang: "clang-99", want: "!clang-99"},
		{name: "environment wrong, others there", have: map[string]string{"clang-19": "19.0.0", "clang-14": "14.0.6"}, clang: "clang-16", want: "!not found in $PATH; there are clang-19, clang-14"},
		{name: "option wrong, nothing there", option: "clang-16", want: "!not found in $PATH; there is no other either: install it (Debian"},
		{name: "option before environment", have: map[string]string{"clang": "19.0.0", "clang-14": "14.0.0"}, clang: "clang", option: "clang-14", want: "clang-14"},
		{name: "wanted one too old", have: map[string]string{"clang": "19.0.0", "clang-13": "13.0.0"}, option: "clang-13", want: "!too old"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bin := t.TempDir()
			for name, version := range test.have {
				fakeClang(t, bin, name, version)
			}
			t.Setenv("PATH", bin)
			t.Setenv("CLANG", test.clang)
			c := testCache(t)
			for range 2 { // the second time from the cache
				got, err := findTools(t.Context(), test.option, c)
				if text, isErr := strings.CutPrefix(test.want, "!"); isErr {
					if err == nil || !strings.Contains(err.Error(), text) {
						t.Errorf("error %v, want %q", err, text)
					}
				} else if err != nil || got.clang.Path != filepath.Join(bin, test.want) {
					t.Errorf("got %+v, %v; want %s", got, err, test.want)
				}
			}
		})
	}
}

// Clangs returns one compiler of each version, and none that is too old.
func TestClangs(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	fakeClang(t, first, "clang-14", "14.0.6")
	fakeClang(t, first, "clang-13", "13.0.1")
	fakeClang(t, second, "clang", "19.1.7")
	fakeClang(t, second, "clang-14", "14.0.0")
	t.Setenv("PATH", first+":"+second)
	t.Setenv("CLANG", "clang-14")
	got := Clangs(t.Context(), &Options{Cache: t.TempDir()})
	want := []Clang{
		{second + "/clang", "Some clang version 19.1.7 (x)", 19},
		{first + "/clang-14", "Some clang version 14.0.6 (x)", 14},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for path, want := range map[string]string{second + "/clang": "clang", first + "/clang-14": "clang-14", second + "/clang-14": second + "/clang-14"} {
		if got := (Clang{Path: path}).Name(); got != want {
			t.Errorf("%s is named %s, want %s", path, got, want)
		}
	}
}

func TestNoClangIsErrNoClang(t *testing.T) {
	t.Setenv("PATH", "")
	t.Setenv("CLANG", "")
	gadget := t.TempDir()
	smallGadget.write(t, gadget)
	_, err := Dir(t.Context(), gadget, &Options{Arch: "amd64", Cache: t.TempDir()})
	if !errors.Is(err, ErrNoClang) {
		t.Errorf("error %v", err)
	}
}

func TestReplacedCompilerIsAskedAgain(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	t.Setenv("CLANG", "")
	c := testCache(t)
	for _, version := range []string{"14.0.6", "19.1.7.1"} {
		fakeClang(t, bin, "clang", version)
		got, err := findTools(t.Context(), "", c)
		if err != nil || !strings.Contains(got.clang.Version, version) {
			t.Errorf("got %+v, %v; want %s", got, err, version)
		}
	}
}

func TestFindStrip(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	fakeClang(t, bin, "clang", "19.0.0")
	cc := Clang{Path: filepath.Join(bin, "clang"), Major: 19}
	if got := findStrip(cc); got != "" {
		t.Errorf("found %q where nothing is", got)
	}
	other := t.TempDir()
	t.Setenv("PATH", bin+":"+other)
	for _, want := range []string{other + "/llvm-strip", other + "/llvm-strip-19", bin + "/llvm-strip"} {
		fakeClang(t, filepath.Dir(want), filepath.Base(want), "")
		if got := findStrip(cc); got != want {
			t.Errorf("found %q, want %q", got, want)
		}
	}
}
