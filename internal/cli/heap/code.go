// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package heap

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// span is a part of the address space of this process.
type span struct{ start, end uintptr }

// code returns the parts of the address space that hold the program's file. It is called before gadgets are attached, because it opens files: these would be
// events.
func code() []span {
	// The process works without this, too: it only counts more memory as its own.
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	regions, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		return nil
	}
	return unchanged(regions, program)
}

// ReleaseCode unmaps the pages of the program's file that are mapped now. It opens files.
func ReleaseCode() { releaseCode(code()) }

// releaseCode unmaps the pages of the program's file that the start has used: nine tenths of them are never used again. The kernel keeps
// them in its cache of files, and a page that is used again is mapped again within a microsecond.
func releaseCode(parts []span) {
	for _, s := range parts {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, s.start, s.end-s.start, unix.MADV_DONTNEED)
	}
}

// unchanged returns the parts of the address space that hold pages of a file exactly as they are in the file, and that nobody can
// write, from the text of /proc/self/smaps. Pages with changes, such as those that the dynamic linker has relocated, would lose them.
func unchanged(regions []byte, file string) []span {
	var found []span
	of := false // the lines are about a region of the file
	var current span
	for line := range bytes.Lines(regions) {
		fields := strings.Fields(string(line))
		if len(fields) >= 5 && !strings.HasSuffix(fields[0], ":") {
			// The range of addresses, what is permitted, the offset in the file, its device and its inode. The rest of the line is its name.
			_, err := fmt.Sscanf(fields[0], "%x-%x", &current.start, &current.end)
			of = err == nil && !strings.Contains(fields[1], "w") && strings.HasSuffix(strings.TrimSuffix(string(line), "\n"), " "+file)
			continue
		}
		if of && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" {
			found = append(found, current)
		}
	}
	return found
}
