// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const someSymbols = `ffffffff81000000 T vfs_read
ffffffff81000100 t vfs_readlink
ffffffff81000200 t ext_wait.isra.0
ffffffff81000300 t ext_wait.constprop.0
ffffffff81000380 t ext_wait.isra.0.cold
ffffffff81000400 t twice
ffffffff81000500 t twice
ffffffff81000600 D counter
ffffffff81000700 T __x64_sys_getpgid
ffffffff81000800 T __arm64_sys_getpgid
ffffffff81000900 W weak_one
ffffffff81000a00 t whole
ffffffff81000b00 t whole.cold
ffffffffc0000000 t ext4_open	[ext4]
nonsense

0 t
0 tt name
`

func TestReadSymbols(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		function, prefix string
		found            int
		isFunction       bool
		module, made     string
		near             string
	}{
		{function: "vfs_read", found: 1, isFunction: true, near: ""},
		{function: "vfs_raed", near: "vfs_read"},
		{function: "ext_wait", made: "ext_wait.isra.0 ext_wait.constprop.0"},
		{function: "twice", found: 2, isFunction: true},
		{function: "counter", found: 1},
		{function: "weak_one", found: 1, isFunction: true},
		{function: "whole", found: 1, isFunction: true},
		{function: "ext4_open", found: 1, isFunction: true, module: "ext4"},
		{function: "ext4_opne", near: "ext4_open"},
		{function: "sys_getpgid", prefix: "__x64_", found: 1, isFunction: true},
		{function: "sys_getpgdi", prefix: "__x64_", near: "sys_getpgid"},
		{function: "sys_getpgid"},
		{function: "unlike_all_of_them"},
	} {
		all, err := readSymbols(strings.NewReader(someSymbols), c.function, c.prefix)
		if err != nil {
			t.Fatal(err)
		}
		made := strings.Join(all.made, " ")
		if len(all.found) != c.found || all.isFunction() != c.isFunction || all.module() != c.module || made != c.made || all.near != c.near {
			t.Errorf("%s: got %+v, want %+v", c.function, all, c)
		}
	}
}

// A long list is read with little memory, and still searched to its end.
func TestReadManySymbols(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "ffffffff81000000 t function_%d\n", i)
		fmt.Fprintf(&b, "ffffffff81000000 t same\nffffffff81000000 t made.isra.%d\n", i)
	}
	b.WriteString("ffffffff81000000 t funtcion_x\n")
	all, err := readSymbols(strings.NewReader(b.String()), "function_x", "")
	if err != nil {
		t.Fatal(err)
	}
	if all.near != "function_0" && all.near != "funtcion_x" {
		t.Errorf("near %q", all.near)
	}
	same, err := readSymbols(strings.NewReader(b.String()), "same", "")
	if err != nil || len(same.found) != maxFound {
		t.Errorf("%d found, %v", len(same.found), err)
	}
	made, err := readSymbols(strings.NewReader(b.String()), "made", "")
	if err != nil || len(made.made) != maxMade {
		t.Errorf("%d made, %v", len(made.made), err)
	}
}

func TestReadSymbolsFails(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0 t " + strings.Repeat("x", 1<<20)} {
		if _, err := readSymbols(strings.NewReader(text), "x", ""); err == nil {
			t.Error("no error")
		}
	}
}

// What is said about functions that cannot be probed, as far as the symbols tell.
func TestTroubleWithSymbols(t *testing.T) {
	t.Parallel()
	for function, want := range map[string]string{
		"vfs_raed": "this kernel has no function vfs_raed: it may be inlined into its callers, or be part of a module that is not loaded " +
			`(/proc/kallsyms lists the functions there are); did you mean "vfs_read"?`,
		"ext_wait": "this kernel has no function ext_wait: the compiler made ext_wait.isra.0, ext_wait.constprop.0 of it, with other arguments maybe; " +
			"attach_to in gadget.yaml can name it",
		"counter": "counter is a variable of this kernel and no function",
		"twice":   "2 functions of this kernel have the name twice, and which is meant cannot be told",
	} {
		all, err := readSymbols(strings.NewReader(someSymbols), function, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := (kprobe{function: function}).trouble(nil, all, fmt.Errorf("x: %w", unix.EADDRNOTAVAIL)); got != want {
			t.Errorf("%s: got  %s\nwant %s", function, got, want)
		}
	}
}

func FuzzReadSymbols(f *testing.F) {
	f.Add(someSymbols, "vfs_raed", "")
	f.Add(someSymbols, "sys_getpgid", "__x64_")
	f.Add("0 t a.b\t[m]", "a", "")
	f.Fuzz(func(t *testing.T, text, function, prefix string) {
		all, err := readSymbols(strings.NewReader(text), function, prefix)
		if err != nil {
			return
		}
		if all.near == function && function != "" {
			t.Errorf("%q is suggested for itself", function)
		}
		if len(all.found) > maxFound || len(all.made) > maxMade {
			t.Errorf("more than wanted: %+v", all)
		}
		for _, name := range all.made {
			if !strings.HasPrefix(name, function+".") {
				t.Errorf("%q is not made of %q", name, function)
			}
		}
		_ = all.absence(function)
	})
}

func TestRefused(t *testing.T) {
	t.Parallel()
	better := &Program{Name: "better"}
	best := &Program{Name: "best"}
	p := &Program{Name: "p", StandsInFor: []string{"better"}}
	better.StandsInFor = []string{"best"}
	g := &Gadget{choices: []Choice{{best, errors.New("no fentry")}, {better, errors.New("no kprobes")}, {Program: p}}}
	got := g.refused(p, errors.New("no tracepoint"), unix.ENOENT)
	want := "no tracepoint: no such file or directory; it would have stood in for another (no kprobes; it would have stood in for another (no fentry))"
	if got.Error() != want || !errors.Is(got, unix.ENOENT) {
		t.Errorf("got  %v\nwant %s", got, want)
	}
	g.choices = append(g.choices, Choice{&Program{Name: "other"}, errors.New("no fexit")})
	p.StandsInFor = append(p.StandsInFor, "other")
	if got := g.refused(p, errors.New("no tracepoint"), unix.ENOENT); got.Error() != want+", and for 1 more" {
		t.Errorf("with another: got %v", got)
	}
	if got := g.refused(best, fmt.Errorf("forbidden: %w", unix.EPERM), unix.ENOENT); got.Error() != "forbidden: operation not permitted" {
		t.Errorf("got %v", got)
	}
}
