// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags_test

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

func TestParseEarly(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                               "missing true []",
		"x --pull never --other pull":    "never true []",
		"--pull=always x --verify=false": "always false []",
		"--verify -o json":               "missing true []",
		"--list a,b --list c":            "missing true [a b c]",
		"-- --pull never":                "missing true []",
		"--pull":                         "missing true []",
	} {
		fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
		pull, verify, list := fs.String("pull", "missing", ""), fs.Bool("verify", true, ""), fs.StringSlice("list", nil, "")
		err := flags.ParseEarly(fs, strings.Fields(args))
		got := *pull + " " + map[bool]string{true: "true", false: "false"}[*verify] + " [" + strings.Join(*list, " ") + "]"
		if err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", args, got, err, want)
		}
	}
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	fs.Bool("verify", true, "")
	if err := flags.ParseEarly(fs, []string{"--verify=x"}); err == nil || !strings.HasPrefix(err.Error(), "--verify: ") {
		t.Errorf("error %v", err)
	}
}
