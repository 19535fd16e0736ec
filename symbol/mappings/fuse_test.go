// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package mappings

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// hangingFile returns the path of a file on a file system that never answers a question about it.
func hangingFile(t *testing.T) string {
	t.Helper()
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		kerneltest.Missing(t, "/dev/fuse: %v", err)
	}
	dir := t.TempDir()
	if err := unix.Mount("test", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev)); err != nil {
		unix.Close(dev)
		kerneltest.Missing(t, "FUSE: %v", err)
	}
	// Closing the device answers all with an error, which ends what waits.
	t.Cleanup(func() {
		unix.Close(dev)
		unix.Unmount(dir, unix.MNT_DETACH)
	})
	// The kernel asks to begin with; the answer agrees to version 7.31 of the protocol.
	const header, initOut = 16, 64
	request := make([]byte, 1<<17)
	if _, err := unix.Read(dev, request); err != nil {
		t.Fatal(err)
	}
	order := binary.NativeEndian
	answer := make([]byte, header+initOut)
	order.PutUint32(answer, uint32(len(answer)))
	copy(answer[8:16], request[8:16]) // which question it answers
	order.PutUint32(answer[header:], 7)
	order.PutUint32(answer[header+4:], 31)
	order.PutUint32(answer[header+20:], 1<<16) // the most that is written at once
	if _, err := unix.Write(dev, answer); err != nil {
		t.Fatal(os.NewSyscallError("write", err))
	}
	return dir + "/file"
}
