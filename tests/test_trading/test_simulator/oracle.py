"""The simulator once more: slow, plain, one bar and one asset after the other, written from what its docstrings say."""

import math
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from trading.costs import Costs
from trading.simulator import Rules


@dataclass
class Holding:
    """What is known about one asset."""

    name: str
    units: float = 0.0
    entry_price: float = 0.0
    best_price: float = 0.0
    target: float = 0.0
    working_order: float = 0.0
    working_reason: str = "order"
    working_since: int = -1
    last_decision: int | None = None
    closed_by_market: bool = False
    filled_this_bar: float = 0.0
    drifted_at_close: dict[int, bool] = field(default_factory=dict)

    def being_closed(self) -> bool:
        return self.closed_by_market and self.working_order != 0.0


class Oracle:
    """An account that follows targets through bars."""

    def __init__(
        self,
        bars: dict[str, pd.DataFrame],
        positions: pd.DataFrame,
        costs: Costs,
        rules: Rules,
        band: float,
        cash: float,
    ) -> None:
        self.costs, self.rules, self.band, self.initial, self.cash = costs, rules, band, cash, cash
        self.positions = {name: positions[name].tolist() for name in positions}
        self.clock = list(positions.index)
        self.holdings = [Holding(name) for name in bars]
        self.quotes = {name: self._quotes(frame) for name, frame in bars.items()}
        self.equity, self.fills = [cash], []
        self.held: list[list[float]] = [[0.0 for _ in bars]]
        self.paid = dict.fromkeys(("fees", "spread_cost", "impact_cost", "funding", "borrow", "shortfall"), 0.0)
        self.ruined_at: pd.Timestamp | None = None
        for holding in self.holdings:
            holding.drifted_at_close[0] = False
        for number in range(1, len(self.clock)):
            self.bar(number)

    def _quotes(self, frame: pd.DataFrame) -> list[dict[str, float]]:
        """What a bar says of an asset; where there is none, the last close and no volume."""
        told: list[dict[str, float]] = []
        first = float(frame["open"].loc[self.clock[0] :].iloc[0])
        rows = frame.to_dict("index")
        for stamp in self.clock:
            if stamp in rows:
                row = rows[stamp]
                quote = {name: float(row[name]) for name in ("open", "high", "low", "close", "volume")}
                rate = float(row["funding_rate"]) if self.costs.funding else 0.0
                quote["funding"] = 0.0 if math.isnan(rate) else rate
            else:
                last = told[-1]["close"] if told else first
                quote = dict.fromkeys(("open", "high", "low", "close"), last) | {"volume": 0.0, "funding": 0.0}
            told.append(quote)
        for number, quote in enumerate(told):
            moves = [
                math.log(told[at]["close"] / (told[at - 1]["close"] if at else told[0]["open"])) ** 2
                for at in range(max(0, number - self.costs.volatility_bars), number)
            ]
            quote["volatility"] = math.sqrt(math.fsum(moves) / len(moves)) if moves else 0.0
        return told

    def quote(self, holding: Holding, number: int) -> dict[str, float]:
        return self.quotes[holding.name][number]

    def worth(self, number: int, price: str) -> float:
        return self.cash + sum(h.units * self.quote(h, number)[price] for h in self.holdings)

    def bar(self, number: int) -> None:
        if self.ruined_at is not None:
            self.mark_ruin()
            return
        for holding in self.holdings:
            holding.filled_this_bar = 0.0
        self.pay_carry(number)
        liquidated = self.liquidate_at_open(number)
        if self.worth(number, "open") <= 0:
            self.ruin(number, self.worth(number, "open"))
            return
        worth_at_open = self.worth(number, "open")
        self.worth_at_open = worth_at_open
        for holding in self.holdings:
            self.place_order(holding, number, worth_at_open, liquidated)
            self.work_order(holding, number)
        self.trigger_stops(number)
        self.liquidate_inside(number)
        self.trigger_take_profits(number)
        worth = self.worth(number, "close")
        if worth <= 0:
            self.ruin(number, worth)
            return
        self.equity.append(worth)
        self.held.append([h.units * self.quote(h, number)["close"] / worth for h in self.holdings])
        base = worth if self.rules.compound else self.initial
        for holding in self.holdings:
            quote = self.quote(holding, number)
            wanted = self.wanted(holding, number)
            share = holding.units * quote["close"] / base
            holding.drifted_at_close[number] = abs(share - wanted) > self.band + 1e-12
            if holding.units > 0:
                holding.best_price = max(holding.best_price, quote["high"])
            if holding.units < 0:
                holding.best_price = min(holding.best_price, quote["low"])

    def wanted(self, holding: Holding, number: int) -> float:
        return self.positions[holding.name][number] * self.rules.leverage

    def ruin(self, number: int, worth: float) -> None:
        self.ruined_at = self.clock[number]
        self.paid["shortfall"] = -worth
        self.mark_ruin()

    def mark_ruin(self) -> None:
        self.equity.append(0.0)
        self.held.append([0.0 for _ in self.holdings])

    def pay_carry(self, number: int) -> None:
        for holding in self.holdings:
            quote = self.quote(holding, number)
            paid = holding.units * quote["open"] * quote["funding"]
            self.cash -= paid
            self.paid["funding"] += paid
        values = [h.units * self.quote(h, number)["open"] for h in self.holdings]
        sold_short = -sum(v for v in values if v < 0)
        bought = sum(v for v in values if v > 0)
        owed = max(bought - self.worth(number, "open"), 0.0)
        years = (self.clock[number] - self.clock[number - 1]) / pd.Timedelta(days=365)
        interest = self.costs.borrow * years * (sold_short + owed)
        self.cash -= interest
        self.paid["borrow"] += interest

    def place_order(self, holding: Holding, number: int, worth: float, liquidated: bool) -> None:
        decided = number - 1 - self.rules.latency
        if decided < 0:
            return
        wanted = self.wanted(holding, decided)
        if wanted != holding.target:
            holding.target = wanted
            holding.closed_by_market = liquidated
            if liquidated:
                return
        else:
            on_the_way = holding.last_decision is not None and decided <= holding.last_decision + self.rules.latency
            if holding.closed_by_market or holding.working_order != 0 or on_the_way:
                return
            if not holding.drifted_at_close[decided]:
                return
        price = self.quote(holding, number)["open"]
        order = wanted * (worth if self.rules.compound else self.initial) / price - holding.units
        lots = self.rules.lots
        if lots is not None:
            order = math.copysign(self.whole_lots(abs(order)), order)
            if abs(order) * price < lots.min_notional:
                order = 0.0
        holding.working_order, holding.working_reason = order, "order"
        holding.working_since = holding.last_decision = decided

    def whole_lots(self, size: float) -> float:
        lot = self.rules.lots.lot if self.rules.lots else 0.0
        if lot == 0:
            return size
        return math.floor(size / lot * (1 + 1e-12)) * lot

    def work_order(self, holding: Holding, number: int) -> None:
        if holding.working_order != 0 and self.quote(holding, number)["volume"] > 0:
            price = self.quote(holding, number)["open"]
            self.fill_what_fits(holding, number, price, holding.working_reason, holding.working_since)

    def fill_what_fits(self, holding: Holding, number: int, price: float, reason: str, since: int) -> None:
        wanted = abs(holding.working_order)
        size = wanted
        if self.rules.participation < math.inf:
            left = self.rules.participation * self.quote(holding, number)["volume"] - holding.filled_this_bar
            if left < wanted:
                size = self.whole_lots(max(left, 0.0))
        if size > 0:
            quantity = math.copysign(size, holding.working_order)
            self.fill(holding, number, quantity, price, reason, since)
            holding.working_order = 0.0 if size == wanted else holding.working_order - quantity

    def fee_rate(self, number: int, maker: bool) -> float:
        rate = self.costs.maker if maker else self.costs.fee
        if not self.costs.tiers:
            return rate
        now = self.clock[number]
        since = now - pd.Timedelta(days=30)
        recent = math.fsum(fill["notional"] for fill in self.fills if since < fill["timestamp"] < now)
        for tier in self.costs.tiers:
            if recent >= tier.volume:
                rate = (tier.maker_bps if maker else tier.taker_bps) / 10_000
        return rate

    def fill(
        self, holding: Holding, number: int, quantity: float, price: float, reason: str, since: int, extra: float = 0.0
    ) -> None:
        quote, size, buys = self.quote(holding, number), abs(quantity), quantity > 0
        maker = reason == "take_profit" and since == number
        half_spread = self.costs.spread_bps / 20_000 + self.costs.slippage_bps / 10_000
        half_spread += self.costs.spread_per_volatility * quote["volatility"] / 2
        impact = self.costs.impact * quote["volatility"] * math.sqrt(size / quote["volume"])
        worse = 0.0 if maker else half_spread + impact
        paid = price * (1 + worse) if buys else price * (1 - worse)
        tick = self.rules.lots.tick if self.rules.lots else 0.0
        if tick:
            steps = paid / tick
            paid = (math.ceil(steps * (1 - 1e-12)) if buys else math.floor(steps * (1 + 1e-12))) * tick
        paid = max(paid, 0.0)
        notional = size * paid
        fee = notional * (self.fee_rate(number, maker) + extra)
        lost = size * abs(paid - price)
        impact_cost = 0.0 if maker else min(size * price * impact, lost)
        self.cash -= quantity * paid + fee
        self.paid["fees"] += fee
        self.paid["spread_cost"] += lost - impact_cost
        self.paid["impact_cost"] += impact_cost
        self.fills.append(
            {
                "timestamp": self.clock[number],
                "decided_at": self.clock[since],
                "symbol": holding.name,
                "reason": reason,
                "price": paid,
                "units": quantity,
                "notional": notional,
                "fee": fee,
                "spread_cost": lost - impact_cost,
                "impact_cost": impact_cost,
                "share": notional / self.worth_at_open,
            }
        )
        holding.filled_this_bar += size
        before, after = holding.units, holding.units + quantity
        if before == 0 or (before > 0) == buys:
            holding.entry_price = (abs(before) * holding.entry_price + size * paid) / (abs(before) + size)
            if before == 0:
                holding.best_price = holding.entry_price
        elif after != 0 and (after > 0) == buys:
            holding.entry_price = holding.best_price = paid
        holding.units = after

    def close_inside(self, holding: Holding, number: int, price: float, reason: str) -> None:
        holding.working_order, holding.closed_by_market = -holding.units, True
        holding.working_reason, holding.working_since = reason, number
        self.fill_what_fits(holding, number, price, reason, number)

    def may_trigger(self, holding: Holding, number: int) -> bool:
        return holding.units != 0 and self.quote(holding, number)["volume"] > 0 and not holding.being_closed()

    def trigger_stops(self, number: int) -> None:
        stops = self.rules.stops
        if stops is None:
            return
        for holding in self.holdings:
            if not self.may_trigger(holding, number):
                continue
            quote = self.quote(holding, number)
            if holding.units > 0:
                level = max(holding.entry_price * (1 - stops.stop_loss), holding.best_price * (1 - stops.trailing))
                if quote["low"] <= level:
                    self.close_inside(holding, number, min(quote["open"], level), "stop")
            else:
                level = min(holding.entry_price * (1 + stops.stop_loss), holding.best_price * (1 + stops.trailing))
                if quote["high"] >= level:
                    self.close_inside(holding, number, max(quote["open"], level), "stop")

    def trigger_take_profits(self, number: int) -> None:
        stops = self.rules.stops
        if stops is None:
            return
        for holding in self.holdings:
            if not self.may_trigger(holding, number):
                continue
            quote = self.quote(holding, number)
            if holding.units > 0:
                level = holding.entry_price * (1 + stops.take_profit)
                if quote["high"] >= level:
                    self.close_inside(holding, number, max(quote["open"], level), "take_profit")
            else:
                level = holding.entry_price * (1 - stops.take_profit)
                if quote["low"] <= level:
                    self.close_inside(holding, number, min(quote["open"], level), "take_profit")

    def on_the_way(self, holding: Holding, number: int, share: float) -> float:
        quote = self.quote(holding, number)
        worst = quote["low"] if holding.units > 0 else quote["high"]
        return quote["open"] + share * (worst - quote["open"])

    def spare_margin(self, number: int, share: float) -> float:
        prices = [self.on_the_way(h, number, share) for h in self.holdings]
        worth = self.cash + math.fsum(h.units * p for h, p in zip(self.holdings, prices, strict=True))
        owned = math.fsum(abs(h.units) * p for h, p in zip(self.holdings, prices, strict=True))
        return worth - self.rules.margin.maintenance * owned if owned else math.inf  # type: ignore[union-attr]

    def liquidate_at_open(self, number: int) -> bool:
        if self.rules.margin is None or self.worth(number, "open") <= 0 or self.spare_margin(number, 0.0) >= 0:
            return False
        self.worth_at_open = self.worth(number, "open")
        self.liquidate(number, 0.0)
        return True

    def liquidate_inside(self, number: int) -> None:
        if self.rules.margin is None or self.spare_margin(number, 1.0) >= 0:
            return
        low, high = 0.0, 1.0
        if self.spare_margin(number, 0.0) <= 0:
            high = 0.0
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if self.spare_margin(number, middle) > 0 else (low, middle)
        self.liquidate(number, high)

    def liquidate(self, number: int, share: float) -> None:
        for holding in self.holdings:
            holding.working_order, holding.closed_by_market = 0.0, True
            if holding.units != 0 and self.quote(holding, number)["volume"] > 0:
                price = self.on_the_way(holding, number, share)
                extra = self.rules.margin.liquidation_bps / 10_000  # type: ignore[union-attr]
                self.fill(holding, number, -holding.units, price, "liquidation", number, extra)

    def table(self) -> pd.DataFrame:
        """Fills, in the order they were made."""
        return pd.DataFrame(self.fills)

    def metrics(self, bars_per_year: float) -> dict[str, Any]:
        """Figures from the equity curve, each by its definition."""
        equity = pd.Series(self.equity)
        before = equity.shift(fill_value=self.initial)
        returns = (equity / before - 1).where(before > 0, 0.0)
        years = len(equity) / bars_per_year
        below = equity < equity.cummax()
        stretches = below.groupby((~below).cumsum()).sum()
        notional = sum(fill["notional"] for fill in self.fills)
        gross = equity.iloc[-1] - self.initial + sum(self.paid[n] for n in ("fees", "spread_cost", "impact_cost"))
        deviation = returns.std()
        return {
            "total_return": equity.iloc[-1] / self.initial - 1,
            "annual_volatility": deviation * math.sqrt(bars_per_year),
            "sharpe": returns.mean() / deviation * math.sqrt(bars_per_year) if returns.nunique() > 1 else math.nan,
            "max_drawdown": (1 - equity / equity.cummax()).max(),
            "time_under_water": float(stretches.max()),
            "trades": float(len(self.fills)),
            "turnover_per_year": sum(fill["share"] for fill in self.fills) / years,
            "exposure": sum(sum(map(abs, row)) for row in self.held) / len(equity),
            "break_even_bps": gross / notional * 10_000 if notional else math.nan,
        } | self.paid
