// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// manyMemory is what 10,000 containers may take, with the texts of all their fields.
const manyMemory = 30 << 20

// A container as Kubernetes makes them: with labels, and the long id and digest of runtimes.
func manyIdentity(i int) Identity {
	name := fmt.Sprintf("web-%d", i)
	return Identity{
		Runtime: "containerd", ID: fmt.Sprintf("%064x", i), Name: name, PID: i + 1, Image: "registry.example/shop/web:1.2.3",
		ImageDigest: "sha256:" + strings.Repeat("0", 64), StartedAt: time.Unix(int64(i), 0),
		Labels: map[string]string{"io.kubernetes.container.name": "web", "io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": "shop"},
		Pod: Pod{Namespace: "shop", Name: name, UID: fmt.Sprintf("uid-%d", i), Container: "web", Labels: map[string]string{
			"app": "shop", "tier": "web", "pod-template-hash": "6d4cf56db6", "version": fmt.Sprint(i % 7),
		}},
	}
}

// 10,000 containers take less than 30 MiB, and give it back when their grace is over.
func TestManyContainersAreSmall(t *testing.T) {
	const many = 10_000
	f := newFakeSet(t)
	before := heap()
	for i := range many {
		f.start(RankHigh, manyIdentity(i), uint64(1000+i), uint64(100_000+i))
	}
	text := 0
	for i := range many {
		h := f.Find(uint64(1000+i), 0)
		for column := range fieldCount {
			text += len(f.Table(column).Bytes(h))
		}
	}
	if text < many*250 {
		t.Fatalf("all fields have only %d bytes", text)
	}
	used := heap() - before
	t.Logf("%d containers take %.1f MiB", many, float64(used)/(1<<20))
	if used > manyMemory {
		t.Errorf("more than %d MiB", manyMemory>>20)
	}
	for i := range many {
		f.End(manyIdentity(i).ID)
	}
	f.clock += 2 * int64(Grace)
	f.forget()
	if left := heap() - before; left > manyMemory/4 {
		t.Errorf("%.1f MiB are left after their end", float64(left)/(1<<20))
	}
	runtime.KeepAlive(f)
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
