// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
)

// A time since boot that added to the boot offset leaves the range of an int64 (a record that was not
// filled, or ~0 for "never") must not turn into some other moment.
func TestTimestampsDoNotWrap(t *testing.T) {
	k := replay(t).compose(t, specOf(t, "all"), machine())
	k.rows = nil
	values := []uint64{math.MaxInt64 - bootOffset + 1, math.MaxInt64, math.MaxInt64 + 1, math.MaxUint64}
	for _, v := range values {
		k.rows = append(k.rows, (&record{Timestamp: v}).bytes(""))
	}
	for i, e := range decodeEvents(t, k, noOptions) {
		if e["timestamp_raw"].(json.Number).String() != strconv.FormatUint(values[i], 10) || e["timestamp"] != "" {
			t.Errorf("%d ns after a boot at %d reads %v, %q; it is no moment", values[i], int64(bootOffset), e["timestamp_raw"], e["timestamp"])
		}
	}
}
