// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import "testing"

// The program's own gadgets have no name in their gadget.yaml that gizmo does not know.
func TestBuiltinGadgetsAreStrict(t *testing.T) {
	t.Parallel()
	names := Names()
	if len(names) == 0 {
		t.Fatal("there are no built-in gadgets: make build puts them in")
	}
	for _, name := range names {
		img, err := Builtin(name)
		if err == nil {
			err = Check(img)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
