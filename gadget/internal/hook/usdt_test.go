// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package hook

import "testing"

// An object without the maps of <bpf/usdt.bpf.h> has no use for arguments.
func TestUSDTWithoutArguments(t *testing.T) {
	t.Parallel()
	specs, err := new(Loaded).usdt()
	if err != nil || specs.specs != nil {
		t.Errorf("%+v, %v", specs, err)
	}
}
