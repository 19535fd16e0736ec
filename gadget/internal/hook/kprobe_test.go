// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/gadget/internal/kernel"
)

// The error about functions that cannot be probed, as far as the symbols show why.
func TestTroubleWithSymbols(t *testing.T) {
	t.Parallel()
	for function, want := range map[string]string{
		"vfs_raed": "this kernel has no function vfs_raed: it may be inlined into its callers, or be part of a module that is not loaded " +
			`(/proc/kallsyms lists the functions there are); did you mean "vfs_read"?`,
		"ext_wait": "this kernel has no function ext_wait: the compiler replaced it with ext_wait.isra.0, ext_wait.constprop.0, which may have other arguments; " +
			"attach_to in gadget.yaml can name it",
		"counter": "counter is a variable of this kernel, not a function",
		"twice":   "2 functions of this kernel have the name twice, and gizmo cannot tell which one is meant",
	} {
		all, err := kernel.ReadSymbols(strings.NewReader(someSymbols), function, "")
		if err != nil {
			t.Fatal(err)
		}
		if got := (kprobe{function: function}).trouble(nil, all, fmt.Errorf("x: %w", unix.EADDRNOTAVAIL)); got != want {
			t.Errorf("%s: got  %s\nwant %s", function, got, want)
		}
	}
}

const someSymbols = `ffffffff81000000 T vfs_read
ffffffff81000200 t ext_wait.isra.0
ffffffff81000300 t ext_wait.constprop.0
ffffffff81000400 t twice
ffffffff81000500 t twice
ffffffff81000600 D counter
`
