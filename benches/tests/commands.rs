//! What each operation of FlowFabric 0.15.0 costs a real Valkey in commands: exact, whatever the machine.

use std::sync::Arc;

use claimlab_benches::cores::Placement;
use claimlab_benches::floor::Floor;
use claimlab_benches::lab::{Deployed, lane};
use claimlab_benches::operation::Operation;
use claimlab_benches::path::Path;
use claimlab_benches::plant::Plant;
use claimlab_benches::statistics::Commands;
use claimlab_benches::target::Target;
use ff_core::keys::IndexKeys;
use ff_core::partition::{Partition, PartitionFamily};
use tokio::runtime::Runtime;

fn on_a_server<T>(partitions: u16, work: impl AsyncFnOnce(Arc<Deployed>) -> T) -> T {
    let target = Arc::new(Target::private(Placement::Anywhere).expect("valkey-server starts (tests/install-valkey)"));
    let runtime = Runtime::new().expect("a runtime starts");
    runtime.block_on(async {
        let lab = Deployed::on(&target, partitions, Plant::default()).await.expect("it deploys");
        work(lab).await
    })
}

/// Commands that the client sends, and those that functions perform for them.
fn pair(commands: Commands) -> (f64, f64) {
    (commands.client, commands.script)
}

#[test]
fn each_operation_sends_and_performs_as_many_commands_as_it_always_did() {
    let expected = [
        (Operation::Create, (1.0, 7.0)),
        (Operation::Scan, (1.0, 0.0)),
        (Operation::IssueGrant, (1.0, 6.0)),
        (Operation::Claim, (1.0, 15.0)),
        (Operation::Renew, (1.0, 6.0)),
        (Operation::Complete, (1.0, 14.0)),
        (Operation::Fail, (2.0, 13.0)),
        (Operation::Cancel, (2.0, 22.0)),
        (Operation::Suspend, (1.0, 17.0)),
        (Operation::DeliverSignal, (2.0, 26.0)),
        (Operation::ResumeClaim, (1.0, 13.0)),
        (Operation::Lapse, (1.0, 5.0)),
        (Operation::IssueReclaimGrant, (1.0, 5.0)),
        (Operation::Reclaim, (1.0, 17.0)),
    ];
    on_a_server(4, async |lab| {
        for (operation, commands) in expected {
            let counted = operation.count(&lab, 4).await.expect("the server answers");
            assert_eq!(pair(counted), commands, "{operation}");
        }
    });
}

#[test]
fn a_floor_is_one_command() {
    on_a_server(4, async |lab| {
        for floor in Floor::ALL {
            assert_eq!(pair(floor.count(&lab).await.expect("the server answers")), (1.0, 0.0), "{floor}");
        }
    });
}

#[test]
fn an_empty_queue_costs_a_scan_for_each_partition_of_a_window() {
    for (partitions, scans) in [(1, 1.0), (4, 4.0), (32, 32.0), (256, 32.0)] {
        on_a_server(partitions, async |lab| {
            let counted = Path::ClaimNextEmpty.count(&lab, 8, 1).await.expect("the server answers");
            assert_eq!(pair(counted), (scans, 0.0), "{partitions} partitions");
        });
    }
}

#[test]
fn every_path_ends_each_execution_that_it_counts() {
    for path in Path::ALL.iter().filter(|path| **path != Path::ClaimNextEmpty) {
        on_a_server(4, async |lab| {
            let measured = path.measure(&lab, 12, 1).await.expect("the server answers");
            assert_eq!((measured.count(), ended(&lab).await), (12, 12), "{path}");
        });
    }
}

/// Executions that the server holds as ended.
async fn ended(lab: &Deployed) -> i64 {
    let mut sum = 0;
    for index in 0..lab.partitions.num_flow_partitions {
        let keys = IndexKeys::new(&Partition { family: PartitionFamily::Execution, index });
        let count = lab.client.cmd("ZCARD").arg(keys.lane_terminal(&lane())).execute::<i64>().await;
        sum += count.expect("the server answers");
    }
    sum
}
