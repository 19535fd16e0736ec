// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strings"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

// The gadget is to be found among flags that are not known before it is.
func TestFirstArgument(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", ""},
		{"G", "G"},
		{"G --pid 5", "G"},
		{"G other", "G"},
		{"-", "-"},
		{"-- G", "G"},
		{"-- -G", "-G"},
		{"--", ""},
		{"-o json", ""},
		{"-o json G", "G"},
		{"-ojson G", "G"},
		{"-o=json G", "G"},
		{"-ot G", "G"}, // an output mode called t
		{"-o", ""},
		{"--output json G", "G"},
		{"--output=json G", "G"},
		{"--output= G", "G"},
		{"--output --help G", "G"}, // an output mode called --help
		{"-t 1 G", "G"},
		{"-t1 G", "G"},
		{"-t 1m30s -o json G", "G"},
		{"-v G", "G"},
		{"--verbose G", "G"},
		{"--verbose=false G", "G"},
		{"-vo json G", "G"},
		{"-vt 1 G", "G"},
		{"-vh G", "G"},
		{"-ov G", "G"}, // an output mode called v
		{"-h G", "G"},
		{"--help G", "G"},
		{"--host G", "G"},
		{"--host=false G", "G"},
		{"--fail-on-loss G", "G"},
		{"--timeout 1 --record file --fields a,b --annotate x:y=z --buffer-size 1 G", "G"},
		{"--unknown G", "G"},
		{"--unknown=1 G", "G"},
		{"--unknown 1 G", "1"}, // cannot be known; see misplacedFlag
		{"-z G", "G"},
		{"-é G", "G"},
	} {
		cmd := (&app{}).rootCommand()
		run, _, err := cmd.Find([]string{"run"})
		if err != nil {
			t.Fatal(err)
		}
		run.InitDefaultHelpFlag()
		got, ok := flags.FirstArgument(run, strings.Fields(c.args))
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: got %q, %v; want %q", c.args, got, ok, c.want)
		}
	}
}
