// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"maps"
	"testing"
)

func TestGiven(t *testing.T) {
	set, empty := "a==1", ""
	if got := Given(map[string]*string{"": &set, "open": &empty}); !maps.Equal(got, map[string]string{"": "a==1"}) {
		t.Errorf("got %q", got)
	}
	if got := Given(nil); len(got) != 0 {
		t.Errorf("of no flags: %q", got)
	}
}
