// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package order

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Each program is taken once, whichever machine takes it.
func TestTake(t *testing.T) {
	t.Parallel()
	queue := t.TempDir()
	const programs = 20
	var taken [programs]atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range programs {
				mine, err := Take(queue, i)
				if err != nil {
					t.Error(err)
				}
				if mine {
					taken[i].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for i := range taken {
		if n := taken[i].Load(); n != 1 {
			t.Errorf("program %d was taken %d times", i, n)
		}
	}
	if _, err := Take(filepath.Join(queue, "nowhere"), 0); err == nil {
		t.Error("a queue that is not there: no error")
	}
}
