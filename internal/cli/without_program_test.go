// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

const withoutProgram = `name: bare
operator: {ebpf: {emitstats: true}}
params:
  custom:
    often: {description: How often, defaultValue: 1s, patch: {operator: {ebpf: {interval: "{{.Value}}"}}}}
    only: {description: Only gadgets, defaultValue: "false", typeHint: bool, patch: {operator: {ebpf: {gadgets-only: "{{.Value}}"}}}}
`

// A folder without a program is checked like others, but has no object.
func TestBuildWithoutProgram(t *testing.T) {
	dir := t.TempDir()
	writeTest(t, filepath.Join(dir, "gadget.yaml"), withoutProgram)
	if got := invoke("", "image", "build", dir); got.code != 0 || got.out != "bare: 0 bytes, 0 programs, 1 data sources, 0 params\n" || got.err != "" {
		t.Errorf("%+v", got)
	}
	got := invoke("", "image", "build", dir, "--object", filepath.Join(dir, "x.o"))
	if got.code != 1 || got.err != "gizmo: --object: the gadget has no program, so there is no object to write\n" {
		t.Errorf("%+v", got)
	}
	writeTest(t, filepath.Join(dir, "gadget.yaml"), strings.Replace(withoutProgram, "emitstats: true", "emitstats: true, intervall: 1s", 1))
	if got := invoke("", "image", "build", dir); got.code != 0 || !strings.Contains(got.err, `gadget.yaml:2:36: unknown key "intervall"; did you mean "interval"?`) ||
		strings.Count(got.err, "\n") != 1 {
		t.Errorf("%+v", got)
	}
	if got := invoke("", "image", "build", dir, "--strict"); got.code != 1 || !strings.Contains(got.err, `unknown key "intervall"`) {
		t.Errorf("%+v", got)
	}
}

func TestFlagsWithoutProgram(t *testing.T) {
	dir := t.TempDir()
	writeTest(t, filepath.Join(dir, "gadget.yaml"), withoutProgram)
	for args, want := range map[string]string{
		"--often=0":    "custom param \"often\": interval: want more than 0",
		"--often=-5s":  "custom param \"often\": interval: the duration -5s is negative",
		"--only=maybe": "custom param \"only\": gadgets-only: \"maybe\" is not true or false",
		"--only 5":     "want only one gadget, but got \"5\" as well", // it takes no value as a second word
		"--iface lo":   "the gadget has no program for a network interface",
	} {
		if got := invoke("", append([]string{"run", dir}, strings.Fields(args)...)...); got.code != 1 || !strings.Contains(got.err, want) {
			t.Errorf("%s: %+v", args, got)
		}
	}
	if got := invoke("", "run", dir, "--help"); got.code != 0 || !strings.Contains(got.out, "--only string[=\"true\"]") {
		t.Errorf("%+v", got)
	}
}
