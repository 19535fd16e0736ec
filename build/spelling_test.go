// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"slices"
	"testing"
)

func TestSpelling(t *testing.T) {
	t.Parallel()
	for program, want := range map[string][]string{
		"event->src.proto_raw = event->dst.proto_raw = 6;": {"-DGADGET_PROTO_RAW"},
		"e->proto_raw = 6;":                     {"-DGADGET_PROTO_RAW"},
		"e -> proto_raw = 6;":                   {"-DGADGET_PROTO_RAW"},
		"e->src.proto = 6;":                     nil,
		"e->src.proto_raw = 6; e->dst.proto=6;": nil,
		"e->protocol = 6; e.proto_raw = 6":      {"-DGADGET_PROTO_RAW"},
		"enum transport proto_raw;":             nil,
		"e->proto_raw_of_mine = 6;":             nil,
		"":                                      nil,
	} {
		if got := spelling([]byte(program)); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", program, got, want)
		}
	}
}
