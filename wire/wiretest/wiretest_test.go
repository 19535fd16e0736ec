// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package wiretest_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gizmo-ebpf/gizmo/event"
	"github.com/gizmo-ebpf/gizmo/wire"
	"github.com/gizmo-ebpf/gizmo/wire/wiretest"
)

func TestRecordAndReadAll(t *testing.T) {
	t.Parallel()
	s := &event.Schema{Name: "s", Single: true, Size: 2}
	recording := wiretest.Record(t, s, []byte{1, 0}, []byte{2, 3})
	got, err := wiretest.ReadAll(wiretest.Reader(t, recording))
	if err != nil || len(got) != 1 || !bytes.Equal(bytes.Join(got[0].Rows, nil), []byte{1, 0, 2, 3}) {
		t.Errorf("read %v, %v", got, err)
	}
	got, err = wiretest.ReadAll(wiretest.Reader(t, recording[:len(recording)-1]))
	if !errors.Is(err, wire.ErrTruncated) || len(got) != 1 {
		t.Errorf("cut short: read %v, %v", got, err)
	}
}
