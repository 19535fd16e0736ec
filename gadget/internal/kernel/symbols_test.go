// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"strings"
	"testing"
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
		all, err := ReadSymbols(strings.NewReader(someSymbols), c.function, c.prefix)
		if err != nil {
			t.Fatal(err)
		}
		made := strings.Join(all.Made, " ")
		if len(all.Found) != c.found || all.IsFunction() != c.isFunction || all.Module() != c.module || made != c.made || all.Near != c.near {
			t.Errorf("%s: got %+v, want %+v", c.function, all, c)
		}
	}
}

// Reading a long list takes little memory, and still searches it to its end.
func TestReadManySymbols(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&b, "ffffffff81000000 t function_%d\n", i)
		fmt.Fprintf(&b, "ffffffff81000000 t same\nffffffff81000000 t made.isra.%d\n", i)
	}
	b.WriteString("ffffffff81000000 t funtcion_x\n")
	all, err := ReadSymbols(strings.NewReader(b.String()), "function_x", "")
	if err != nil {
		t.Fatal(err)
	}
	if all.Near != "function_0" && all.Near != "funtcion_x" {
		t.Errorf("near %q", all.Near)
	}
	same, err := ReadSymbols(strings.NewReader(b.String()), "same", "")
	if err != nil || len(same.Found) != maxFound {
		t.Errorf("%d found, %v", len(same.Found), err)
	}
	made, err := ReadSymbols(strings.NewReader(b.String()), "made", "")
	if err != nil || len(made.Made) != maxMade {
		t.Errorf("%d made, %v", len(made.Made), err)
	}
}

func TestReadSymbolsFails(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0 t " + strings.Repeat("x", 1<<20)} {
		if _, err := ReadSymbols(strings.NewReader(text), "x", ""); err == nil {
			t.Error("no error")
		}
	}
}

func FuzzReadSymbols(f *testing.F) {
	f.Add(someSymbols, "vfs_raed", "")
	f.Add(someSymbols, "sys_getpgid", "__x64_")
	f.Add("0 t a.b\t[m]", "a", "")
	f.Fuzz(func(t *testing.T, text, function, prefix string) {
		all, err := ReadSymbols(strings.NewReader(text), function, prefix)
		if err != nil {
			return
		}
		if all.Near == function && function != "" {
			t.Errorf("%q is suggested for itself", function)
		}
		if len(all.Found) > maxFound || len(all.Made) > maxMade {
			t.Errorf("more than wanted: %+v", all)
		}
		for _, name := range all.Made {
			if !strings.HasPrefix(name, function+".") {
				t.Errorf("%q is not made of %q", name, function)
			}
		}
		_ = all.Absence(function)
	})
}
