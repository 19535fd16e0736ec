// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package names

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	vdsoName = "[vdso]"
	maxVDSO  = 1 << 20 // bytes; the real ones have some pages
)

// OpenVDSO opens the code that the kernel maps into each process. It reads that of this process, which is the same for all 64-bit
// processes.
func (f *Files) OpenVDSO() (*File, error) {
	image, err := readVDSO()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", vdsoName, err)
	}
	return f.Open(bytes.NewReader(image), int64(len(image)), vdsoName)
}

func readVDSO() ([]byte, error) {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(maps)) {
		if !strings.HasSuffix(strings.TrimSpace(line), vdsoName) {
			continue
		}
		var start, limit uint64
		if _, err := fmt.Sscanf(line, "%x-%x ", &start, &limit); err != nil {
			return nil, err
		}
		if limit <= start || limit-start > maxVDSO {
			return nil, fmt.Errorf("%d bytes, more than gizmo reads", limit-start)
		}
		mem, err := os.Open("/proc/self/mem")
		if err != nil {
			return nil, err
		}
		defer mem.Close()
		image := make([]byte, limit-start)
		_, err = mem.ReadAt(image, int64(start))
		return image, err
	}
	return nil, errors.New("the kernel maps none into this process")
}
