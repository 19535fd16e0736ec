// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package otlpreceiver has tests that push metrics to the receiver of OpenTelemetry's collector.
package otlpreceiver
