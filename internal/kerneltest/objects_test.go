// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import "testing"

func TestParseObject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Object{
		"pos:\t0\nprog_type:\t5\nprog_id:\t7\nrun_cnt:\t0\n":             {"prog", 7, 7},
		"pos:\t0\nmap_type:\t1\nmap_id:\t8\nfrozen:\t0\n":                {"map", 8, 0},
		"pos:\t0\nlink_type:\tperf\nlink_id:\t9\nprog_id:\t7\nname:\t\n": {"link", 9, 7},
		"pos:\t0\n": {},
	} {
		if got, ok := ParseObject(text); got != want || ok != (want.Kind != "") {
			t.Errorf("%q: %+v, %v, want %+v", text, got, ok, want)
		}
	}
}
