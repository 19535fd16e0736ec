// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package kernel

import (
	"fmt"
	"os"
	"strings"
)

// A place is where the process runs, if that is not the host itself: a chroot, a container, a user namespace. The kernel and the
// library answer there with errors that do not name the cause.

// CheckPlace returns an error if the kernel's file systems that loading needs are not mounted.
func CheckPlace() error {
	for _, fs := range [...]struct{ dir, kind, within string }{{"/proc", "proc", "/proc/self"}, {"/sys", "sysfs", "/sys/kernel"}} {
		if _, err := os.Stat(fs.within); err != nil {
			return fmt.Errorf("%s is not mounted here, as in a chroot, and gizmo needs it to load a gadget: mount -t %s %s %s",
				fs.dir, fs.kind, fs.kind, fs.dir)
		}
	}
	return nil
}

// userNamespace returns a hint for errors about privileges if this process runs in a user namespace, or "".
func userNamespace() string {
	text, err := os.ReadFile("/proc/self/uid_map")
	if err != nil || mapsAllUsers(string(text)) {
		return ""
	}
	return "gizmo runs in a user namespace, and the kernel lets not even its root load programs: run gizmo outside of it"
}

// mapsAllUsers reports whether a map of user ids is that of the host's own user namespace.
func mapsAllUsers(uidMap string) bool {
	return strings.Join(strings.Fields(uidMap), " ") == "0 0 4294967295"
}
