// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kerneltest

import (
	"os"
	"syscall"
	"testing"
)

// WriteProgram writes a file that can be executed at once. The kernel executes no file that somebody has open for writing ("text file busy"), and that may be a child
// that another test starts in this moment: so none starts meanwhile.
func WriteProgram(t testing.TB, path string, program []byte) {
	t.Helper()
	syscall.ForkLock.RLock()
	err := os.WriteFile(path, program, 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
}
