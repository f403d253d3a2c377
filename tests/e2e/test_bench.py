"""The benches' triggers: each is worth exactly one order, what undoes it none."""

from bench.stages_engine import StageBench


def test_a_trigger_of_the_wire_bench_is_answered_by_one_order():
    bench = StageBench(pumped=True)
    for market in range(3):
        cheap, dear, little = bench.frames(market)
        sent = []
        for frame in (cheap, dear, little):
            before = bench.transport.orders
            bench.send(frame, market)
            sent.append(bench.transport.orders - before)
            bench.settle()
        assert sent == [1, 0, 0]
