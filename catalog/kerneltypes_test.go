// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package catalog

import "testing"

func TestOSRelease(t *testing.T) {
	t.Parallel()
	const text = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\nID_LIKE='x'\n"
	if id, version, none := valueOf([]byte(text), "ID"), valueOf([]byte(text), "VERSION_ID"), valueOf([]byte(text), "NAME"); id != "debian" || version != "12" || none != "" {
		t.Errorf("got %q, %q, %q", id, version, none)
	}
	k, err := thisKernel()
	if err != nil || k.Release == "" || k.Arch == "" {
		t.Errorf("%+v, %v", k, err)
	}
}
