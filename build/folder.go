// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
)

// systemFolder is the cache of root where the user's cache folder is not safe for root.
const systemFolder = "/var/cache/gizmo"

// openDefault opens the default folder for the cache, which only this user and root may change or
// replace. That matters because objects from the cache are loaded into the kernel, often by root, whose HOME may
// still be that of the user who called sudo. For root, the folder system is the alternative.
func openDefault(system string, say logFunc) (*safefile.Folder, error) {
	var folder *safefile.Folder
	dir, err := os.UserCacheDir()
	if err == nil {
		folder, err = safefile.PrivateFolder(filepath.Join(dir, "gizmo"))
	}
	if err == nil || os.Geteuid() != 0 {
		return folder, err
	}
	say("the cache is in %s, because the user's own cache cannot be used: %v", system, err)
	folder, second := safefile.PrivateFolder(system)
	if second != nil {
		return nil, fmt.Errorf("%w; %w", err, second)
	}
	return folder, nil
}
